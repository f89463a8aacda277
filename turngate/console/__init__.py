"""What web pages use: ES modules without dependencies or a build step."""
