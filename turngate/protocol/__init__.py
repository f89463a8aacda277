"""The messages on each wire: the client's (`deepgram`), the upstream's (`openai`), and those between the services
(`messages`)."""
