"""The programs that components run: functions, the pusher of Pub/Sub, S3, PostgreSQL."""
