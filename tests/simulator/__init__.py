"""Microsoft Graph with Entra ID, and MinIO, as real servers on loopback for tests, demo and benchmark."""
