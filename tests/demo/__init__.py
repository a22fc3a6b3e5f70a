"""The demonstration that scripts/demo plays: a school's files go from MinIO to SharePoint, and every byte is checked."""
