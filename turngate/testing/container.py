"""turngate's image in a test, with testcontainers. It needs ``turngate[testing]`` and a Docker engine."""

from __future__ import annotations

from typing import Self

from testcontainers.community.redis import RedisContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HttpWaitStrategy

_PORT = 8080
_START_SECONDS = 120
_REDIS_IMAGE = "redis:7-alpine"
_REDIS_NAME = "redis"


class TurngateContainer(DockerContainer):
    """All services of turngate in one container, as ``turngate run`` starts them, with the simulator as the upstream
    unless `with_openai` is used.

        with TurngateContainer().with_redis() as turngate:
            connect(f"{turngate.gateway_url}/v1/agent/converse")
    """

    def __init__(self, image: str = "turngate:latest") -> None:
        super().__init__(image)
        self._redis: RedisContainer | None = None
        self._own_network: Network | None = None
        self._network_exists = False
        self.with_command("run")
        self.with_exposed_ports(_PORT)
        self.with_setting("TURNGATE_GATEWAY_HOST", "0.0.0.0")
        # The engine publishes the port for tests, not for others, so that no keys are needed.
        self.with_setting("TURNGATE_PUBLISHED_HOST", "127.0.0.1")
        self.with_setting("TURNGATE_SIMULATOR_PACE", "0")
        self.waiting_for(HttpWaitStrategy(_PORT, "/health").for_status_code(200).with_startup_timeout(_START_SECONDS))

    def with_redis(self, image: str = _REDIS_IMAGE) -> Self:
        """Start a Redis beside it, and stop it with it."""
        self._own_network = Network()
        self._redis = RedisContainer(image).with_network(self._own_network).with_network_aliases(_REDIS_NAME)
        self.with_network(self._own_network)
        return self.with_redis_url(f"redis://{_REDIS_NAME}:6379/0")

    def with_redis_url(self, url: str) -> Self:
        """Use this server, as the container reaches it."""
        return self.with_setting("TURNGATE_REDIS_URL", url)

    def with_api_keys(self, *keys: str) -> Self:
        """Clients need one of these keys."""
        return self.with_setting("TURNGATE_API_KEYS", ",".join(keys))

    def with_openai(self, api_key: str) -> Self:
        """OpenAI is the upstream."""
        return self.with_setting("OPENAI_API_KEY", api_key)

    def with_setting(self, variable: str, value: str) -> Self:
        """Set a variable of docs/configuration.md."""
        return self.with_env(variable, value)

    @property
    def gateway_url(self) -> str:
        """Without a path, such as ``ws://localhost:32768``; available once started."""
        return f"ws://{self._address}"

    @property
    def http_url(self) -> str:
        """The same for plain HTTP."""
        return f"http://{self._address}"

    @property
    def _address(self) -> str:
        return f"{self.get_container_host_ip()}:{self.get_exposed_port(_PORT)}"

    def start(self) -> Self:
        try:
            if self._own_network is not None:
                self._own_network.create()
                self._network_exists = True
            if self._redis is not None:
                self._redis.start()
            return super().start()
        except BaseException:
            self.stop()
            raise

    def stop(self, force: bool = True, delete_volume: bool = True) -> None:
        super().stop(force, delete_volume)
        if self._redis is not None:
            self._redis.stop(force, delete_volume)
        if self._own_network is not None and self._network_exists:
            self._own_network.remove()
            self._network_exists = False
