"""The upstream protocol: the OpenAI Realtime API, as far as this server reads and writes it."""
