"""What gunicorn serves for `sharepoint-proxy consume`: the same service, as one replica of a Kafka consumer group."""

import os

from sharepoint_proxy.assembly import configure_or_exit
from sharepoint_proxy.consume_parts import Consuming
from sharepoint_proxy.wiring import Service

service = Service(configure_or_exit(os.environ), replica=Consuming)
app = service.app
