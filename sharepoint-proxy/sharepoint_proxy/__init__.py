"""sharepoint-proxy: MinIO's bucket events become files in a SharePoint document library.

MinIO is the truth and SharePoint comes to agree. An event is not an order to upload or to delete; it says "look at this key".
The words are explained in `records`.

The journey of one event:

1. `web` checks the bearer token and hands the body to
2. `events.parse`, which makes `ObjectEvent`s of it;
3. `journal.mark` puts one row per key on disk, meaning "look here"; from now on nothing can be lost;
4. `worker` claims the row when it is due and calls
5. `mirror.converge`: `paths` says where the key belongs, `source` what MinIO holds now, the ledger what was last put there;
   if they differ, `library` and `sessions` write or remove it through `graph`;
6. `journal.settle` writes down the outcome: settled, to be tried again, or parked with its reason;
7. `web` answers, if it was waiting in the `waiting` room. One log line tells the outcome.

The rows of the building; each imports only from those above it, and no module from its own row:

    errors
    quickxor  records
    alarms  backoff  content  events  logs  paths                        no input or output
      rewriting  settings  tables  throttle  waiting
    certificate  database  environment  graph  library                   the outside world, one SDK each,
      sessions  source  tokens  journal  listener  mirror  web  worker   and what to do, and when
    wiring                                                               joins them
    wsgi                                                                 what gunicorn serves

Modules of one row meet through small Protocols, declared where they are used, and are handed to each other by `wiring`.
"""

__version__ = "0.1.0"
