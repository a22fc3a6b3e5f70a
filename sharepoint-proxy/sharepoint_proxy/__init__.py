"""sharepoint-proxy: MinIO's bucket events become files in a SharePoint document library."""
