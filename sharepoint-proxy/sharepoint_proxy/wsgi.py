"""What gunicorn serves: one service per worker process, of which there is one. Its threads start in `post_worker_init`."""

import os

from sharepoint_proxy.assembly import configure_or_exit
from sharepoint_proxy.wiring import Service

service = Service(configure_or_exit(os.environ))
app = service.app
