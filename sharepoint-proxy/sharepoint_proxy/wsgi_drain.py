"""What gunicorn serves for `sharepoint-proxy consume --drain`: a replica that finishes what it has recorded, and ends."""

import os

from sharepoint_proxy.assembly import configure_or_exit
from sharepoint_proxy.consume_parts import Draining
from sharepoint_proxy.wiring import Service

service = Service(configure_or_exit(os.environ), replica=Draining)
app = service.app
