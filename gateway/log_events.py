"""The events that a gateway logs."""

from __future__ import annotations

from turngate.process.log_event import error, info, warning

_DEFECT = "Report it with the traceback: it is a defect."
_NETWORK = "Nothing for one client. For many at once, look at the network and the load balancer before the gateways."

# --- the process


@info()
def gateway_started(*, address: str, upstream: str, simulated: bool, resampling: str) -> None:
    """A gateway has started and accepts clients. `resampling`: whether the compiled kernel does it, or `numpy`."""


@warning("Install a C compiler (Debian: gcc, libc6-dev, python3-dev), and then turngate again.")
def kernel_not_compiled() -> None:
    """The compiled kernel was not built when turngate was installed: numpy resamples, which takes more CPU time for
    each frame of audio that is not 24 kHz, and so does reading the upstream's audio. Logged at start."""


@warning("Set `TURNGATE_API_KEYS`, unless everybody who can reach the address may use it.")
def open_to_anybody(*, address: str, remedy: str) -> None:
    """Clients need no key. Logged at start."""


@warning("Raise the limit of open files (`ulimit -n`) to `open_files_needed`, or lower `TURNGATE_SESSIONS_MAX`.")
def sessions_limited(*, sessions: int, wanted: int, open_files: int, open_files_needed: int) -> None:
    """The limit of open files allows fewer sessions than the setting. Logged at start."""


@error("Correct the file `TURNGATE_API_KEYS_FILE`; until then, new keys are refused and removed ones accepted.")
def keys_not_read(*, reason: str, kept: int) -> None:
    """The file of keys has changed and cannot be used; the keys that were read before stay."""


@info()
def keys_read_again(*, keys: int) -> None:
    """The file of keys has changed, and was read."""


@error("Correct the file `TURNGATE_TOKEN_SECRET_FILE`; until then, the secrets that were read before sign tokens.")
def token_secrets_not_read(*, reason: str, kept: int) -> None:
    """The file of secrets has changed and cannot be used; the secrets that were read before stay."""


@info()
def token_secrets_read_again(*, secrets: int) -> None:
    """The file of secrets has changed, and was read."""


@info()
def draining(*, sessions: int, grace: float, longest: float) -> None:
    """The gateway empties: it is not ready any more, and hands its sessions over. Times in seconds."""


@info("Nothing at 0 sessions. Otherwise raise `TURNGATE_DRAIN_MS`, if their clients should have had more time.")
def drained(*, sessions: int) -> None:
    """The gateway has emptied, or time was up; so many sessions are left and end now."""


@warning("Nothing, if it is rare. Otherwise look for a machine that is too busy to stop its gateway in time.")
def sessions_cut(*, sessions: int) -> None:
    """When the gateway stopped, these sessions did not end in time, and were cut off without a word."""


@warning("Nothing: session-state forgets these sessions, and other gateways go on without what was not published.")
def records_not_published(*, messages: int) -> None:
    """When the gateway stopped, Redis did not take its last turn records and requests in time."""


@warning("Nothing, if Redis was away. Journals of sessions that have ended expire.")
def journals_not_written(*, sessions: int) -> None:
    """When the gateway stopped, Redis did not take its last journals in time: their clients begin anew."""


# --- clients


@info("Look at the reason, if a client complains; [what it was told](operations.md#what-clients-are-told).")
def client_refused(*, reason: str) -> None:
    """A client was refused before it had a session."""


@info("Look at the reason, if somebody complains.")
def token_refused(*, reason: str) -> None:
    """A request for a short-lived token was refused."""


@info(about_session=True)
def session_started(*, dialect: str, sessions: int) -> None:
    """A session has begun here, or goes on here. `sessions`: how many this gateway has now."""


@info(about_session=True)
def session_ended(*, code: int, reason: str, seconds: float, sessions: int) -> None:
    """A session has ended here: how its client's connection was closed, and how long it was here."""


@error(f"{_DEFECT} Other sessions are not affected.", about_session=True)
def session_failed(*, exc_info: BaseException) -> None:
    """A session ended after an unexpected exception. Its client was told `INTERNAL_SERVER_ERROR`."""


@info(_NETWORK, about_session=True)
def client_lost(*, code: int | None) -> None:
    """The connection of a client was lost that may return. Its session waits."""


@info(about_session=True)
def client_returned(*, parked: bool) -> None:
    """A client is back in its session; `parked`: its loss had been noticed before."""


@info(about_session=True)
def client_replaced() -> None:
    """A client has connected again before the loss of its connection was noticed. The older connection is closed."""


@info(_NETWORK, about_session=True)
def client_did_not_return() -> None:
    """A client did not return in time; its session ends."""


@info(_NETWORK, about_session=True)
def client_cut(*, why: str) -> None:
    """A client was disconnected that did not read what it was sent: nothing for too long (`stalled`), or too little
    (`overflowed`)."""


# --- the upstream


@info("Nothing, unless `upstream_given_up` follows.", about_session=True)
def upstream_not_reached(*, reason: str) -> None:
    """One attempt to connect to the upstream failed. It is tried again, while that can help."""


@info(
    "Nothing, unless it happens to many sessions at once: then look at the upstream's status page.", about_session=True
)
def upstream_lost(*, code: str) -> None:
    """The connection to the upstream was lost, and is being renewed; the call goes on."""


@warning("Check the network, and the upstream's status page.", about_session=True)
def upstream_given_up(*, code: str) -> None:
    """A session ends since there is no connection to the upstream. `code` is what its client was told."""


@error("By its code: correct the key (`OPENAI_API_KEY`), the model, the address, or the account.", about_session=True)
def upstream_refuses(*, code: str) -> None:
    """The upstream refuses sessions in a way that will not pass by itself: every call fails until somebody acts."""


@warning("Find out why the gateway's network or the upstream is slow.", about_session=True)
def upstream_cut(*, why: str) -> None:
    """The connection to an upstream was aborted that did not read: nothing for too long (`stalled`), or too little
    (`overflowed`). It is opened again."""


@warning("Look for a newer version of turngate. The event had no effect.", about_session=True)
def unknown_upstream_event(*, event_type: str) -> None:
    """The upstream sent an event that this version does not know. Logged once for each of the first 64
    types."""


# --- requests and turn records


@error(f"{_DEFECT} `seq` 0 is the turn record.", about_session=True)
def record_failed(*, seq: int, exc_info: BaseException) -> None:
    """A turn record or a request could not be made, and was not published."""


@error("Read the reason; see the alert for dead letters. What still matters is published again.", about_session=True)
def publication_failed(*, stream: str, reason: str) -> None:
    """Redis refused one message, for a reason that concerns this message alone."""


# --- sessions that change their gateway


@info(about_session=True)
def session_handed_over() -> None:
    """A session was given up, so that its client finds it at another gateway."""


@warning("Find out why Redis did not take the journal: the client begins a new session.", about_session=True)
def session_not_handed_over() -> None:
    """A session was given up, and Redis did not take its last entry: what other gateways know of it is incomplete."""


@info(about_session=True)
def session_claimed(*, epoch: int, before: str, complete: bool) -> None:
    """A client came here whose session was at the gateway `before`; this gateway goes on with it. If it is not
    `complete`, the other gateway has died, and its last words are lost."""


@info(about_session=True)
def session_given(*, epoch: int, known: bool, in_time: bool) -> None:
    """Another gateway has claimed a session. `known`: it was here; `in_time`: the other gateway has all of it."""


@warning(
    "Nothing, if a gateway has died. Otherwise raise `TURNGATE_CLAIM_WAIT_MS`, or find out why it is slow.",
    about_session=True,
)
def journal_not_completed(*, before: str) -> None:
    """The gateway `before` did not complete the journal of a session that was claimed here; it goes on without."""


@warning("Nothing, unless Redis has lost data: the client begins a new session.", about_session=True)
def session_not_found() -> None:
    """A session that was claimed here could not be taken up: its journal is gone, or another gateway was faster."""


@error("Report it, unless two versions run side by side. The client begins a new session.", about_session=True)
def session_not_taken_up(*, exc_info: BaseException) -> None:
    """A session of another gateway could not be taken up: this version cannot use its journal."""


@warning("Look for a gateway that was cut off from Redis or stood still.", about_session=True)
def session_fenced(*, epoch: int) -> None:
    """The session has a newer owner of which this gateway had not heard. It ends here, and goes on there."""


@error(f"{_DEFECT} The session goes on, but not after the loss of this gateway.", about_session=True)
def journal_failed(*, exc_info: BaseException) -> None:
    """An entry of a session's journal could not be made."""
