"""What the status page says, in English and in French: its phrases, and how each language writes sizes and times.

The reasons why something failed are the service's own sentences, which the log has too; they stay in English.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sharepoint_proxy.records import Action

_NO_BREAK = "\u00a0"
_ROUNDS_UP_TO_1000 = 999.5
_ROUNDS_UP_TO_100 = 99.95
_MINUTE_SECONDS = 60
_HOUR_SECONDS = 3600
_DAY_SECONDS = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The page in one language. Braces in a phrase stand for what `str.format` puts in."""

    language: str
    decimal_point: str
    byte_units: tuple[str, ...]
    day_unit: str

    # What a person sees first.
    good: str
    all_mirrored: str
    at_work: str
    careful: str
    one_parked: str
    many_parked: str
    pause_asked: str
    certificate_ends: str
    certificate_ended: str
    comparison_failed: str
    bad: str
    nothing_lost: str
    journal_unreadable: str

    # The figures.
    in_progress: str
    at_once: str
    waiting: str
    oldest: str
    parked: str
    throttling: str
    no_throttling: str
    pause: str
    slowed: str
    certificate: str
    days: str
    until: str
    ended: str

    # The lists.
    nothing_in_progress: str
    looked_at: str
    progress_of: str
    next_try: str
    due: str
    tries: str
    try_again: str
    try_all_again: str
    more: str
    last_hour: str
    uploaded: str
    most_in_a_minute: str
    minute: str
    now: str
    last_mirrored: str
    nothing_mirrored: str
    actions: Mapping[str, str]
    past: str
    just_now: str

    # The rest.
    library: str
    running_for: str
    compared: str
    version: str
    no_answer: str
    how_to_enter: str
    too_many_tries: str
    not_from_here: str

    def size(self, count: int) -> str:
        """COUNT bytes with three figures, like "12.3 MB"."""
        amount, exponent = float(count), 0
        while amount >= _ROUNDS_UP_TO_1000 and exponent < len(self.byte_units) - 1:
            amount, exponent = amount / 1000, exponent + 1
        figures = f"{amount:.1f}" if exponent and amount < _ROUNDS_UP_TO_100 else f"{amount:.0f}"
        return f"{figures.replace('.', self.decimal_point)}{_NO_BREAK}{self.byte_units[exponent]}"

    def span(self, seconds: float) -> str:
        """A length of time in its largest unit, like "5 min"; what is negative, because clocks differ, is none."""
        whole = max(0, int(seconds))
        for length, unit in ((_DAY_SECONDS, self.day_unit), (_HOUR_SECONDS, "h"), (_MINUTE_SECONDS, "min")):
            if whole >= length:
                return f"{whole // length}{_NO_BREAK}{unit}"
        return f"{whole}{_NO_BREAK}s"

    def ago(self, seconds: float) -> str:
        """A moment so long ago."""
        return self.past.format(span=self.span(seconds)) if seconds >= 1 else self.just_now

    def parked_objects(self, count: int) -> str:
        """That COUNT objects are parked, which is at least one."""
        return self.one_parked if count == 1 else self.many_parked.format(count=count)

    def action(self, action: Action) -> str:
        """What was done, in a word or two."""
        return self.actions.get(action, action.value)


ENGLISH = Wording(
    language="en",
    decimal_point=".",
    byte_units=("B", "kB", "MB", "GB", "TB", "PB"),
    day_unit="d",
    good="Healthy",
    all_mirrored="Everything that MinIO announced is in SharePoint.",
    at_work="What MinIO announced is on its way to SharePoint.",
    careful="Running, but have a look",
    one_parked="One object is parked: it is not tried again until somebody says so.",
    many_parked="{count} objects are parked: they are not tried again until somebody says so.",
    pause_asked="Microsoft asked for a pause. Uploads go on by themselves when it is over.",
    certificate_ends="The certificate ends in {days}: add a new one to the app registration in Entra ID.",
    certificate_ended="The certificate has ended: add a new one to the app registration in Entra ID.",
    comparison_failed="The last comparison of MinIO with SharePoint failed, and will be repeated.",
    bad="Cannot mirror just now",
    nothing_lost="What MinIO announces is kept meanwhile, and nothing is lost. The service goes on by itself as soon as it can.",
    journal_unreadable="The journal cannot be read, so there is nothing else to show here.",
    in_progress="In progress",
    at_once="at most {count} at once",
    waiting="Waiting",
    oldest="the oldest for {span}",
    parked="Parked",
    throttling="Throttling",
    no_throttling="None",
    pause="Pause of {span}",
    slowed="Slowed down",
    certificate="Certificate",
    days="{count} days",
    until="until {date:%Y-%m-%d}",
    ended="Ended",
    nothing_in_progress="Nothing just now.",
    looked_at="being looked at",
    progress_of="{done} of {size}",
    next_try="next try in {span}",
    due="as soon as there is room",
    tries="tries: {count}",
    try_again="Try again",
    try_all_again="Try all again",
    more="and {count} more",
    last_hour="The last hour",
    uploaded="Files: {files}, together {size}",
    most_in_a_minute="{size} at most in a minute",
    minute="{ago}: {size}, files: {files}",
    now="now",
    last_mirrored="Last mirrored",
    nothing_mirrored="Nothing since the start.",
    actions={
        Action.UPLOADED: "uploaded",
        Action.MOVED: "moved",
        Action.ADOPTED: "was there already",
        Action.DELETED: "deleted",
        Action.FOLDER_MADE: "folder made",
        Action.FOLDER_REMOVED: "folder removed",
    },
    past="{span} ago",
    just_now="just now",
    library="Library",
    running_for="running for {span}",
    compared="compared with MinIO {ago}, objects: {objects}",
    version="Version {version}",
    no_answer="The service does not answer. What you see is of {time}.",
    how_to_enter="Give the password ADMIN_PASSWORD; any user name will do.",
    too_many_tries="There were too many wrong passwords. Wait for a minute, then try again.",
    not_from_here="This was not sent by the page as it is now. Load the page again and repeat it there.",
)

FRENCH = Wording(
    language="fr",
    decimal_point=",",
    byte_units=("o", "ko", "Mo", "Go", "To", "Po"),
    day_unit="j",
    good="Tout va bien",
    all_mirrored="Tout ce que MinIO a annoncé est dans SharePoint.",
    at_work="Ce que MinIO a annoncé est en route vers SharePoint.",
    careful="En marche, mais à surveiller",
    one_parked="Un objet est mis de côté\u00a0: il ne sera pas réessayé sans votre accord.",
    many_parked="{count} objets sont mis de côté\u00a0: ils ne seront pas réessayés sans votre accord.",
    pause_asked="Microsoft demande une pause. Les envois reprendront d'eux-mêmes ensuite.",
    certificate_ends="Le certificat expire dans {days}\u00a0: ajoutez-en un nouveau à l'application dans Entra ID.",
    certificate_ended="Le certificat a expiré\u00a0: ajoutez-en un nouveau à l'application dans Entra ID.",
    comparison_failed="La dernière comparaison de MinIO avec SharePoint a échoué\u00a0; elle sera répétée.",
    bad="Copie impossible pour l'instant",
    nothing_lost="Ce que MinIO annonce est conservé entre-temps, rien n'est perdu. Le service reprendra de lui-même dès que possible.",
    journal_unreadable="Le journal ne peut pas être lu\u00a0; il n'y a donc rien d'autre à montrer ici.",
    in_progress="En cours",
    at_once="au plus {count} à la fois",
    waiting="En attente",
    oldest="le plus ancien depuis {span}",
    parked="Mis de côté",
    throttling="Limitation",
    no_throttling="Aucune",
    pause="Pause de {span}",
    slowed="Ralenti",
    certificate="Certificat",
    days="{count} jours",
    until="jusqu'au {date:%d/%m/%Y}",
    ended="Expiré",
    nothing_in_progress="Rien pour l'instant.",
    looked_at="en cours d'examen",
    progress_of="{done} sur {size}",
    next_try="prochain essai dans {span}",
    due="dès qu'il y a de la place",
    tries="essais\u00a0: {count}",
    try_again="Réessayer",
    try_all_again="Tout réessayer",
    more="et {count} de plus",
    last_hour="La dernière heure",
    uploaded="Fichiers\u00a0: {files}, soit {size}",
    most_in_a_minute="{size} au plus en une minute",
    minute="{ago}\u00a0: {size}, fichiers\u00a0: {files}",
    now="maintenant",
    last_mirrored="Derniers fichiers copiés",
    nothing_mirrored="Rien depuis le démarrage.",
    actions={
        Action.UPLOADED: "envoyé",
        Action.MOVED: "déplacé",
        Action.ADOPTED: "déjà présent",
        Action.DELETED: "supprimé",
        Action.FOLDER_MADE: "dossier créé",
        Action.FOLDER_REMOVED: "dossier supprimé",
    },
    past="il y a {span}",
    just_now="à l'instant",
    library="Bibliothèque",
    running_for="en marche depuis {span}",
    compared="comparé avec MinIO {ago}, objets\u00a0: {objects}",
    version="Version {version}",
    no_answer="Le service ne répond pas. Ce que vous voyez date de {time}.",
    how_to_enter="Donnez le mot de passe ADMIN_PASSWORD\u00a0; le nom d'utilisateur est libre.",
    too_many_tries="Trop de mots de passe erronés. Attendez une minute, puis réessayez.",
    not_from_here="Cette demande ne vient pas de la page actuelle. Rechargez la page et recommencez.",
)

WORDINGS = {wording.language: wording for wording in (ENGLISH, FRENCH)}
