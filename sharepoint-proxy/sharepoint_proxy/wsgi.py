"""What gunicorn serves: one service per worker process, of which there is one. Its threads start in `post_worker_init`."""

import os

from sharepoint_proxy.wiring import Service, configure_or_exit

service = Service(configure_or_exit(os.environ))
app = service.app
