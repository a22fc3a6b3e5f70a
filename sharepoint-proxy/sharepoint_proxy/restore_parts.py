"""Joins the parts of a restore, which reads as the proxy does, and writes as a user that is named for it alone."""

from collections.abc import Iterator, Mapping

from sharepoint_proxy import assembly, backoff, paths, source, tables
from sharepoint_proxy.assembly import Configuration
from sharepoint_proxy.bucket_writer import BucketWriter
from sharepoint_proxy.column_memory import ColumnMemory
from sharepoint_proxy.database import Database
from sharepoint_proxy.errors import ConfigError
from sharepoint_proxy.files import Files
from sharepoint_proxy.libraries import LibraryFiles
from sharepoint_proxy.object_metadata import ObjectMetadata
from sharepoint_proxy.patience import Patience
from sharepoint_proxy.reservations import Reservations
from sharepoint_proxy.restore import Restorer
from sharepoint_proxy.settings import Settings
from sharepoint_proxy.throttle import Throttle
from sharepoint_proxy.walk import Walk

FILES_AT_ONCE = 4
_TRIES = 6
_OWN_USER = {
    f"RESTORE_{what}{file}": f"MINIO_{what}{file}" for what in ("ACCESS_KEY", "SECRET_KEY") for file in ("", "_FILE")
}
"""The variables that name the user who writes, and those that they stand in for."""


def make_restorer(variables: Mapping[str, str], *, database: Database | None = None) -> Restorer:
    """A restorer for the environment VARIABLES; DATABASE is the journal, opened here where the caller has none.

    RESTORE_ACCESS_KEY and RESTORE_SECRET_KEY (or the same with _FILE) name the user who writes; without them it is the proxy's own.
    Asks Graph for the libraries. Raises ConfigError for settings that cannot be used, and what `Libraries.connect` raises.
    """
    configuration = assembly.configure(variables)
    settings = configuration.settings
    writing = _writing(variables, configuration)
    rows = database or Database(assembly.journal_path(settings), schema=tables.SCHEMA)
    throttle = Throttle(most=FILES_AT_ONCE)
    graph = assembly.make_graph(configuration, throttle)
    patience = Patience(tries=_TRIES, delay=backoff.delay)
    libraries = assembly.make_libraries(graph, configuration)
    libraries.connect()
    files = LibraryFiles(libraries, lambda drive_id: Files(graph, drive_id))
    return Restorer(
        routing=configuration.routing,
        walk=Walk(routing=configuration.routing, files=files, patience=patience),
        files=files,
        source=assembly.make_source(settings),
        elsewhere=assembly.make_source(writing),
        writer=_writer(writing),
        metadata=ObjectMetadata(settings.metadata_columns, memory=ColumnMemory(rows), columns_at=libraries.columns),
        journal=assembly.journal_in(rows, settings),
        reservations=Reservations(rows, place_of=paths.comparison_key),
        patience=patience,
        application_id=settings.client_id,
        on_stop=throttle.stop,
        files_at_once=FILES_AT_ONCE,
    )


def _writing(variables: Mapping[str, str], reading: Configuration) -> Settings:
    """The settings with the user who writes in the place of the one who reads."""
    if not any(variables.get(name) for name in _OWN_USER):
        return reading.settings
    others = {name: text for name, text in variables.items() if name not in _OWN_USER.values()}
    named = {name: variables[own] for own, name in _OWN_USER.items() if own in variables}
    try:
        return assembly.configure(others | named).settings
    except ConfigError as error:
        raise ConfigError(list(_renamed(error))) from error


def _renamed(error: ConfigError) -> Iterator[str]:
    """The problems under the names that were given."""
    for problem in error.problems:
        yield problem.replace("MINIO_", "RESTORE_").replace("who may read", "who may write")


def _writer(settings: Settings) -> BucketWriter:
    endpoint = settings.minio_endpoint
    return BucketWriter(
        endpoint=endpoint.address,
        secure=endpoint.secure,
        access_key=settings.minio_access_key,
        secret_key=settings.minio_secret_key,
        region=settings.minio_region,
        http_client=source.connection_pool(FILES_AT_ONCE),
    )
