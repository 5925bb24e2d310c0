"""What happened in a conversation, put together from the log, the messages and the flow for people to read."""
