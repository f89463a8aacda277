"""Message types of the client protocol (`deepgram`), of the upstream protocol (`openai`), and of the Redis streams
(`messages`)."""
