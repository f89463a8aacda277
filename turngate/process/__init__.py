"""What every service process is made of: settings, logs, the broker connection, health over HTTP, start and stop."""
