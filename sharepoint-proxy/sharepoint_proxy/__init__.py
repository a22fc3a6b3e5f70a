"""sharepoint-proxy: MinIO's bucket events become files in a SharePoint document library.

MinIO is the truth and SharePoint comes to agree. An event is not an order to upload or to delete; it says "look at this key".
The words are explained in `records`.

The journey of one event:

1. `web` checks the bearer token (or `consumer` takes a message from Kafka) and hands the body to
2. `events.parse`, which makes `ObjectEvent`s of it;
3. `journal.mark` puts one row per key on disk, meaning "look here"; from now on nothing can be lost;
4. `worker` claims the row when it is due and calls
5. `mirror.converge`: `paths` says where the key belongs, `source` what MinIO holds now, the ledger what was last put there;
   if they differ, `writing` brings the file there (`moving` it if it is another one's renaming, by `library` or `sessions`),
   `removing` takes it away, `columns` fills in its metadata, all through `graph`;
6. `journal.settle` writes down the outcome: settled, to be tried again, or parked with its reason;
7. `web` answers, if it was waiting in the `waiting` room. One log line tells the outcome.

A reconcile (`reconcile`, `judging`, `leftovers`) is only another way to mark keys: there is one way into the library.

The rows of the building; each imports only from those above it, and no module from its own row:

    errors
    findings  fragments  globs  quickxor  records
    alarms  backoff  bandwidth  content  events  logs  paths  rewriting     no input or output
      settings  tables  throttle  waiting
      column_values  comparison  download  fates  messages  patience        words and rules of single tasks
      activity  chart  door  wording                                        what the status page shows
      checkup_login  checkup_minio  checkup_service  checkup_sharepoint     the steps of `check`
    screen, then telling                                                    what the commands write with, and say
    certificate  database  environment  graph  kafka  libraries  library    the outside world, one SDK each
      probes  routes  sessions  source, bucket_writer  files  tokens
      journal  ledger  handover  reservations  backlog  column_memory       the tables of one SQLite file
        notes  inventory
      mirror  writing  moving  removing  columns  replica                   what to do about one key
      reconcile  gathering  judging  leftovers  halt                        and about all of them
      checkup  explain  restore  walk  object_metadata                      what the commands decide
      worker  web  listener  page  metrics  consumer  cli                   when, and ways in
    assembly                                                                parts that service and commands share
    checkup_parts  consume_parts  library_parts  mirror_parts               parts of one task
      reconcile_parts  restore_parts
    wiring  toolbox                                                         join them: the service, the commands
    wsgi  wsgi_drain  wsgi_kafka  __main__                                  what is started from outside

Modules of one row meet through small Protocols, declared where they are used, and are handed to each other by the joinery.
"""

__version__ = "0.1.0"
