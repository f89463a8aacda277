"""As much of a Redis server as this project uses, in memory and without sockets: hashes, sorted sets, streams with
consumer groups, expiry by a given clock, and Lua scripts, which run as shipped.

`Keyspace` is the server, `StubRedis` a redis-py client that talks to one. What is not implemented raises. Texts in
scripts must be UTF-8. `tests/integration/test_redis_stub.py` compares it with a real server.
"""
