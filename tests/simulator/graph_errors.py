"""The error that every refused Graph call ends in, with the codes of Graph's error page (OneDrive/onedrive-api-docs)."""

from collections.abc import Mapping


class GraphError(Exception):
    """A call refused with STATUS; CODE and INNER go into the error envelope that clients read."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        inner: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.inner = inner
        self.headers = dict(headers or {})


def not_found(message: str = "The resource could not be found.") -> GraphError:
    """404 for an item, drive, site or session that is not there."""
    return GraphError(404, "itemNotFound", message)


def invalid(message: str = "Invalid request", *, inner: str | None = None) -> GraphError:
    """400 from SharePoint for a request that can never succeed."""
    return GraphError(400, "invalidRequest", message, inner=inner)


def bad_request(message: str) -> GraphError:
    """400 from Graph's own gateway, which spells its codes otherwise."""
    return GraphError(400, "BadRequest", message)


def unknown_segment(segment: str) -> GraphError:
    """400 for a URL segment that is no part of the API."""
    return bad_request(f"Resource not found for the segment '{segment}'.")


def name_exists(message: str = "The specified item name already exists.") -> GraphError:
    """409 for a name that is taken."""
    return GraphError(409, "nameAlreadyExists", message)


def tag_mismatch() -> GraphError:
    """412 for an If-Match or If-None-Match that does not hold."""
    return GraphError(412, "resourceModified", "ETag does not match current item's value")


def denied(message: str = "Access denied") -> GraphError:
    """403 from SharePoint: the right is missing."""
    return GraphError(403, "accessDenied", message)
