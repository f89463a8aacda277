"""The upstream protocol: the part of the OpenAI Realtime API that this server uses."""
