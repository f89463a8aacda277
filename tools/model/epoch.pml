/* A model of what the owners of one session do: its request, its turn record, and its ends. docs/model.md lists what it covers.
 *
 * owner.pml counts what is in the journal. Here each connection of the client is a process, which finds the session or claims it;
 * the client asks for one thing (its greeting, or a reply), which is carried out by the owner as session-state grants it and heard
 * by the client. Messages between the services can be lost, doubled, late and reordered; a gateway can be killed or cut off from
 * Redis; Redis can be emptied; a gateway can believe for too long that a client is there.
 *
 * Faults that can be injected, each of which must be detected: NO_FENCE, GOES_ON, NO_RECORD_FENCE, OLD_RELEASE, FORGETS_ANY,
 * READS_EARLY, LOSES_OPEN, ATTACHES_AND_CLAIMS, REVIVES (safety); NO_EXPIRY, NO_WAIT_LIMIT, REFUSAL_IGNORED (liveness).
 */

#ifndef COMES
#define COMES 2 /* connections of the client, besides the first */
#endif
#ifndef FAULTS
#define FAULTS 1 /* a gateway killed, or cut off for a while; Redis emptied */
#endif
#ifndef LOST
#define LOST 0 /* messages lost, or doubled and late; a gateway that believes that a client is there */
#endif
#ifndef DRAINS
#define DRAINS 0 /* gateways that go away, and hand the session over */
#endif

#define GATEWAYS 2
#define NOBODY GATEWAYS
#define BIT(number) (1 << (number))

byte faults = FAULTS, lost = LOST, drains = DRAINS;
bool emptied;
#define CALM (faults == FAULTS && lost == LOST)

/* The client's request, as a gateway knows it. In the journal it is missing, open or answered: a create that was sent is open. */
#define MISSING 0
#define OPEN 1
#define SENT 2
#define ANSWERED 3
#define CLOSED 4 /* of a turn record: the session has ended */
#define IN_JOURNAL(request) ((request) == SENT -> OPEN : (request))

#ifdef OLD_RELEASE
#define MINE(e, g) true
#else
#define MINE(e, g) (e == term[g])
#endif
#ifdef FORGETS_ANY
#define OWNS(g) true
#else
#define OWNS(g) (epoch == term[g])
#endif
#ifdef READS_EARLY
#define WAITS_NO_MORE true
#elif defined(NO_WAIT_LIMIT)
#define WAITS_NO_MORE false
#else
#define WAITS_NO_MORE !CALM
#endif
#ifdef ATTACHES_AND_CLAIMS
#define CLAIMS true
#else
#define CLAIMS (!served)
#endif

/* --- Redis. Epochs in `awaits` and `left` are one higher, and 0 if there is none. -------------------------------------------- */

bool known = true, last;                /* owners.lua */
byte epoch, owner, awaits, journal;
byte claimed_epoch;                     /* advance.lua: the field `epoch`, and the newest record, whose version is its request */
byte record_epoch, record_request, record_gateway;

/* Messages on their way, one bit for each epoch; of turn records, for each epoch, one for each version. */
byte claims[GATEWAYS], releases[GATEWAYS], completed;
byte records[8], gateway_of[8];

/* --- the gateways ----------------------------------------------------------------------------------------------------------- */

bool runs[GATEWAYS], changed[GATEWAYS]; /* it runs the session; there is something to write */
byte term[GATEWAYS], request[GATEWAYS];
byte serves[GATEWAYS];                  /* the client's connection, which may have ended */
byte left[GATEWAYS];                    /* the epoch with which the session was stopped */
bool giving[GATEWAYS], letting[GATEWAYS]; /* its last entry is on its way; it was not asked for */
byte given[GATEWAYS];
byte heard_of[GATEWAYS];                /* the newest epoch that it was told */
bool cut[GATEWAYS];

/* --- the client ------------------------------------------------------------------------------------------------------------- */

byte now, comes = COMES;   /* its newest connection */
bool served = true, anew;  /* it has its session, or a new one */
bool away;                 /* it was told to connect again */
bool asked, answered;      /* a gateway has accepted its request; it has heard the answer */
bool welcomed = true;      /* on its newest connection */
bool loss;                 /* some owner knew more than the next one could read */
byte busy;                 /* connections that are not served yet, one bit for each */
byte where[4];             /* the gateway of each connection; NOBODY if that was killed */

/* Its entries are refused. */
#ifdef REVIVES
#define OLD(its) (known && (its) < epoch)
#else
#define OLD(its) ((known && (its) < epoch) || (!known && (its) < claimed_epoch))
#endif
#define HERE(g) (runs[g] && serves[g] == now && served && !anew)

inline welcome(c) {
  if :: c == now ->
        assert(!welcomed); /* one Welcome for each connection */
        welcomed = true; served = true
     :: else
  fi
}

inline becomes(g, state) { request[g] = state; changed[g] = true; publish(g, state) }

inline publish(g, state) {
  if :: state != MISSING && !cut[g] -> records[term[g]] = records[term[g]] | BIT(state) :: else fi
}

/* Another gateway owns the session, or may: nothing more is sent here, and the client's connection is closed. */
inline stop(g) {
  left[g] = term[g] + 1; giving[g] = true; given[g] = IN_JOURNAL(request[g]);
  if :: serves[g] == now && served && !anew -> served = false; away = true :: else fi;
  forget_here(g)
}

inline forget_here(g) { runs[g] = false; changed[g] = false; term[g] = 0; request[g] = MISSING; serves[g] = 0; heard_of[g] = 0 }

inline tell_complete() { if :: owner != NOBODY -> completed = completed | BIT(epoch) :: else fi }

inline write(g, its, what, is_last) {
  assert(emptied || (its) >= epoch);           /* fencing */
  assert(emptied || loss || what >= journal);  /* what the journal holds is never lost */
  known = true; epoch = its; owner = g; journal = what; last = is_last; awaits = 0
}

inline gave(g) { giving[g] = false; letting[g] = false; given[g] = MISSING }

inline complete(g) { /* with the last entry */
  if :: known && awaits == left[g] -> journal = given[g]; awaits = 0; tell_complete() :: else fi;
  gave(g)
}

/* Receive one message of this set, which may be doubled. */
inline receive(messages, one) {
  if :: (messages) & 1 -> one = 0 :: (messages) & 2 -> one = 1 :: (messages) & 4 -> one = 2 :: (messages) & 8 -> one = 3
     :: (messages) & 16 -> one = 4 :: (messages) & 32 -> one = 5 :: (messages) & 64 -> one = 6 :: (messages) & 128 -> one = 7
  fi;
  if :: lost > 0 -> lost-- :: true -> messages = messages & ~BIT(one) fi
}

proctype Commands(byte g) {
  byte e;
end:
  do
  :: atomic { claims[g] && !cut[g] -> receive(claims[g], e);
       if :: left[g] == e -> skip /* its last entry is on its way, or came too late */
          :: runs[g] && term[g] < e && left[g] != e ->
             heard_of[g] = e;
#ifndef GOES_ON
             stop(g)
#endif
          :: left[g] != e && !(runs[g] && term[g] < e) ->
             if :: known && awaits == e -> awaits = 0; tell_complete() :: else fi
       fi; e = 0 }
  :: atomic { releases[g] && !cut[g] -> receive(releases[g], e);
       if :: runs[g] && request[g] == OPEN && MINE(e, g) ->
             assert(e == term[g]);           /* a release of another epoch is not used */
             assert(heard_of[g] <= term[g]); /* who has heard of a claim says nothing more to the upstream */
             becomes(g, SENT)
          :: else
       fi; e = 0 }
  od
}

proctype Journals(byte g) {
end:
  do
  :: atomic { runs[g] && !cut[g] && (changed[g] || !known) ->
       changed[g] = false;
       if
#ifndef NO_FENCE
       :: OLD(term[g]) ->
#ifdef REFUSAL_IGNORED
          skip
#else
          stop(g)
#endif
#endif
       :: else -> write(g, term[g], IN_JOURNAL(request[g]), false)
       fi }
  :: atomic { giving[g] && !cut[g] ->
       if :: letting[g] && !OLD(left[g] - 1) ->
             write(g, left[g] - 1, given[g], true); gave(g)
          :: else -> complete(g)
       fi }
  :: atomic { giving[g] && cut[g] -> gave(g) } /* for two seconds */
  od
}

/* The client asks, and hears the answer. A connection that the client has left takes an answer nowhere. */
proctype Conversation(byte g) {
end:
  do
  :: atomic { HERE(g) && request[g] == MISSING -> asked = true; becomes(g, OPEN) }
  :: atomic { HERE(g) && request[g] == SENT ->
       assert(!answered || loss); /* never two greetings, unless what was heard could not be known */
       answered = true; becomes(g, ANSWERED) }
  od
}

/* --- session-state ---------------------------------------------------------------------------------------------------------- */

#define SOME_RECORD (records[0] || records[1] || records[2] || records[3] || records[4] || records[5] || records[6])

proctype Session_state() {
  byte e, state;
end:
  do
  :: atomic { SOME_RECORD ->
       if :: records[0] -> e = 0 :: records[1] -> e = 1 :: records[2] -> e = 2 :: records[3] -> e = 3
          :: records[4] -> e = 4 :: records[5] -> e = 5 :: records[6] -> e = 6
       fi;
       receive(records[e], state);
       if :: e < record_epoch || e < claimed_epoch -> skip
          :: else ->
             if :: e > record_epoch || state > record_request -> record_epoch = e; record_request = state :: else fi;
             if :: record_epoch >= claimed_epoch && record_request == OPEN ->
                   assert(!known || emptied || record_epoch == epoch); /* nothing is granted to an owner of an older epoch */
                   releases[gateway_of[record_epoch]] = releases[gateway_of[record_epoch]] | BIT(record_epoch)
                :: else
             fi
       fi; e = 0; state = 0 }
  od
}

/* --- connections of the client ---------------------------------------------------------------------------------------------- */

inline new_session(c) { /* the client that is there gets one; without a fault it finds its own */
  if :: c == now -> assert(!CALM); welcome(c); anew = true :: else fi
}

inline take_up(c, g, told) {
  awaits = 0;
  if :: (answered && journal != ANSWERED) || (asked && journal == MISSING) ->
        assert(!CALM && (!told || loss)); /* what the owner before knew is not lost, if this one was told that nothing is */
        loss = true
     :: else
  fi;
  runs[g] = true; term[g] = epoch; serves[g] = c; changed[g] = true; request[g] = MISSING;
#ifdef LOSES_OPEN
  if :: journal == ANSWERED -> request[g] = ANSWERED :: else fi;
#else
  request[g] = journal;
#endif
  publish(g, request[g]); welcome(c)
}

proctype Connection(byte c) { /* a claim */
  byte e, tries; bool told;
claim:
  atomic {
    if :: where[c] == NOBODY -> goto gone
       :: where[c] != NOBODY && (cut[where[c]] || !known) -> new_session(c); goto gone
       :: else
    fi;
    if :: !last ->
          if :: awaits == 0 -> awaits = epoch + 1 :: else fi;
          if :: owner != NOBODY -> claims[owner] = claims[owner] | BIT(epoch + 1) :: else fi
       :: else
    fi;
    told = last && awaits == 0; last = false; epoch++; owner = where[c]; e = epoch; tries++; gateway_of[e] = owner;
#ifndef NO_RECORD_FENCE
    claimed_epoch = epoch
#endif
  }
  do
  :: atomic { where[c] == NOBODY -> break }
  :: atomic { completed & BIT(e) -> completed = completed & ~BIT(e); told = true }
  :: atomic { where[c] != NOBODY && cut[where[c]] -> new_session(c); break }
  :: atomic { where[c] != NOBODY && !cut[where[c]] && !(completed & BIT(e)) &&
              (told || epoch != e || !known || WAITS_NO_MORE) ->
       if :: known && epoch == e -> take_up(c, where[c], told); break
          :: else ->
             completed = completed & ~BIT(e);
             if :: tries < 2 && c == now -> goto claim
                :: tries < 2 && c != now && lost > 0 -> lost--; goto claim /* believes that the client is there */
                :: tries == 2 || c != now -> new_session(c); break
             fi
       fi }
  od;
gone:
  atomic { busy = busy & ~BIT(c); completed = completed & ~BIT(e); where[c] = 0; e = 0; tries = 0; told = false }
}

/* It comes to a gateway, also if it was not told to. The gateway may not know that an earlier connection is lost, and asks Redis
 * only if it knows that. */
proctype Client() {
  byte g;
end:
  do
  :: atomic { comes > 0 && !anew ->
       comes--; now++; away = false; served = false; welcomed = false;
       select(g : 0 .. GATEWAYS - 1);
       if :: runs[g] && known && !cut[g] && epoch > term[g] -> stop(g)
          :: runs[g] ->
             if :: !CALM && known && epoch > term[g] -> loss = true :: else fi;
             serves[g] = now; changed[g] = true; welcome(now)
          :: else
       fi;
       if :: CLAIMS -> where[now] = g; busy = busy | BIT(now); run Connection(now)
          :: else
       fi; g = 0 }
  od
}

/* --- time, faults ----------------------------------------------------------------------------------------------------------- */

#define ELSEWHERE(g) (runs[g] && serves[g] != now && !busy && (served || (away && !comes)))

#define NOTHING_COMES(g) (cut[g] || !(claims[g] || changed[g] || giving[g]))

/* A timer is longer than the delivery of a message, but for faults. */
inline time_passes(g) {
  if :: runs[g] && !cut[g] && request[g] == OPEN && !records[term[g]] && !(releases[g] & BIT(term[g])) -> publish(g, OPEN)
     :: else
  fi;
#ifndef NO_EXPIRY
  if :: ELSEWHERE(g) && NOTHING_COMES(0) && NOTHING_COMES(1) -> /* its client does not return */
        publish(g, CLOSED);
        if :: known && !cut[g] && OWNS(g) ->
              assert(emptied || epoch == term[g]); known = false; journal = MISSING; last = false; awaits = 0
           :: else
        fi;
        forget_here(g)
     :: else
  fi
#endif
}

proctype Time() {
  do :: atomic { time_passes(0); time_passes(1) } od
}

proctype Weather() {
  byte g;
end:
  do
  :: atomic { lost > 0 && !anew && (claims[0] || claims[1] || releases[0] || releases[1] || completed || records[epoch]) ->
       lost--;
       if :: claims[0] -> claims[0] = 0 :: claims[1] -> claims[1] = 0
          :: releases[0] -> releases[0] = 0 :: releases[1] -> releases[1] = 0
          :: completed -> completed = 0 :: records[epoch] -> records[epoch] = 0
       fi }
  :: atomic { faults > 0 && !anew ->
       faults--; select(g : 0 .. GATEWAYS - 1);
       if :: !cut[g] -> cut[g] = true
          :: true -> /* killed; another one of its name hears none of its messages */
             if :: HERE(g) || (busy & BIT(now) && where[now] == g) -> served = false; away = true :: else fi;
             forget_here(g); gave(g); left[g] = 0; claims[g] = 0; releases[g] = 0; cut[g] = false;
             owner = (owner == g -> NOBODY : owner);
             if :: (busy & 2) && where[1] == g -> where[1] = NOBODY :: else fi;
             if :: (busy & 4) && where[2] == g -> where[2] = NOBODY :: else fi;
             if :: (busy & 8) && where[3] == g -> where[3] = NOBODY :: else fi
          :: known -> /* Redis is emptied */
             known = false; emptied = true; loss = true; last = false; awaits = 0; journal = MISSING; claimed_epoch = 0;
             record_epoch = 0; record_request = MISSING; claims[0] = 0; claims[1] = 0; releases[0] = 0; releases[1] = 0;
             completed = 0; records[epoch] = 0
       fi; g = 0 }
  :: atomic { cut[0] || cut[1] -> cut[0] = false; cut[1] = false }
  :: atomic { comes > 0 && drains > 0 -> /* a gateway goes away, and hands the session over */
       select(g : 0 .. GATEWAYS - 1);
       if :: runs[g] && !cut[g] && request[g] != SENT -> drains--; stop(g); letting[g] = true :: else fi; g = 0 }
  od
}

init {
  atomic {
    runs[0] = true;
    run Commands(0); run Commands(1); run Journals(0); run Journals(1); run Conversation(0); run Conversation(1);
    run Session_state(); run Time(); run Weather(); run Client()
  }
}

#define NO_OLD_OWNER (!(runs[0] && OLD(term[0])) && !(runs[1] && OLD(term[1])))
#define CLIENT_HAS_ALL ((away && !comes) || (served && (anew || answered))) /* or it was told to return, and does not */

ltl settled { <> [] (!busy && NO_OLD_OWNER && CLIENT_HAS_ALL) }
