"""Servers of the local system: functions, PostgreSQL, S3, and the pushes of Pub/Sub."""
