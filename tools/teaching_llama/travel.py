"""Travel planning: the paper's seven agents, the requests that change their plan, and their answers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.teaching_llama import held
from tools.teaching_llama.marks import plain
from tools.teaching_llama.plan import Plan, Subtask
from tools.teaching_llama.surfaces import (
    NUMBER_WORDS,
    Source,
    articled,
    ended,
    greeted,
    joined,
    phrases,
    roughened,
    with_clauses,
)
from tools.teaching_llama.wide import TRAVEL

NAME = "travel"
BOOKED = {"transport": "flights", "accommodation": "hotel", "dining": "restaurants", "attractions": "sights"}

HEADS = phrases("""Plan a {adj}trip to {place}|Plan a {adj}trip to {place}|plan a {adj}holiday in {place}
I need a {adj}itinerary for {place}|Could you organise a {adj}vacation in {place}
Help me plan a {adj}visit to {place}|{adj}trip to {place}|Please plan our {adj}stay in {place}
Make a {adj}travel plan for {place}|We want a {adj}break in {place}
Can you arrange a {adj}tour of {place}|Organise a {adj}journey to {place}
I want to go on a {adj}trip to {place}|Create a {adj}itinerary for {place}
I'm looking for a {adj}getaway to {place}|Let's plan a {adj}trip to {place}
Book us a {adj}trip to {place}|A {adj}trip to {place}, please|{place} {adj}trip
We need ideas for a {adj}trip to {place}|Suggest a {adj}itinerary for {place}
Find us a nice {adj}stay in {place}|Thinking about a {adj}trip to {place}
We are planning a {adj}trip through {place}|{adj}trip in {place}|Prepare a {adj}trip to {place}
Our wish is a {adj}trip to {place}|Would you plan a {adj}trip to {place}
We'd like a {adj}trip to {place}|Please write a {adj}programme for {place}
Get us a {adj}trip to {place}|I dream of a {adj}trip to {place}|Sort out a {adj}trip to {place}
We hope for a {adj}stay in {place}|Could you help with a {adj}trip to {place}|We were thinking of a {adj}trip to {place}
Do a {adj}plan for {place}""")
HEADS_FOR = phrases("""Plan {for} in {place}|Plan a trip to {place} for {for}
I am going to {place} for {for}, please plan it|{place}, {for}|{for} in {place}|Travel plan: {place} for {for}|We will be in {place} for {for}
I'd like to travel to {place} for {for}|What can we do in {place} in {for}?
Plan a {place} trip of {for}|Book {for} in {place}|Show us {place} in {for}
What to do in {place} for {for}|A trip to {place} for {for}|We fly to {place} and stay {for}
{place} in {for}|Trip to {place}, {for}|I have {for} in {place}
We go to {place} for {for}, what should we do?|Discover {place} in {for}
Please arrange {for} in {place}|We'd like to see {place} in {for}|A plan for {for} in {place}
{place} for {for}|Make {for} in {place} work""")
HEADS_BARE = phrases("""Plan a trip to {place}|trip to {place}|We want to visit {place}|Travel plan for {place}
I'm going to {place}|Help us see {place}|Plan a holiday {somewhere}|Plan a trip {somewhere}
I want to go {somewhere}|Take us {somewhere}|What should we do in {place}?
What is there to see in {place}?|Show me around {place}|Visit {place}|I would love to see {place}
We are flying to {place}|A trip to {place}|Going to {place}|trip in {place}|We travel to {place}
My family visits {place}|Please organise a trip to {place}|A holiday {somewhere}|Get me to {place}
Organise {place} for us|Let us see {place}|{place} trip|Could you help me with {place}?
Bring us {somewhere}|Go {somewhere}|I need to be in {place}|We leave for {place}
trip through {place}""")
TRIPS = phrases("""holiday|vacation|journey|tour|getaway|visit|road trip|honeymoon|business trip|camping trip
family holiday|school trip|family trip|short trip|summer holiday|relaxing holiday|hiking trip
train journey|romantic trip|cheap trip""")
SOMEWHERE = phrases("""somewhere warm|somewhere cheap|somewhere quiet|somewhere by the sea|somewhere in the mountains
somewhere snowy|somewhere exotic""")

CLAUSES = {
    "people": phrases(""" for {x}| for {x}| for {x}|, for {x}|. It is for {x}| for {x}|. We are {x}|, we are {x}
. Travelling party: {x}|. I travel with {x}|, people: {x}
, party of travellers: {x}|. Please plan for {x}|. It will be {x}| as {x}|, group: {x}
. This is for {x}"""),
    "budget": phrases(""" with a budget of {x}| with a budget of {x}| on {x}|, max {x}
. We have {x}| within {x}| for {x} in total|. Our budget is {x}|, costing at most {x}
 for less than {x}|. Budget: {x}|, {x}|, at most {x}|. We want to spend {x}|, spending {x}
. It may cost {x}|. It should cost less than {x}|, no more than {x}|. I can pay {x}| with {x}
, with {x} in our pocket|. Cost: up to {x}|. The limit is {x}|, limit {x}
. We should not spend more than {x}|, for about {x}|. Total budget {x}"""),
    "when": phrases(""" {x}| {x}|, {x}|. We travel {x}| {x}|, starting {x}|. We leave {x}|, travelling {x}|. Dates: {x}
. It should be {x}|. We go {x}| sometime {x}"""),
    "likes": phrases(""". We love {x}|, we like {x}|. I enjoy {x}| with {x}|. Focus on {x}|. Interests: {x}
, we are interested in {x}|. We are keen on {x}|. We like {x}|, preferably with {x}| for {x}|. We want to see {x}|, and we enjoy {x}|. I am a fan of {x}|, mostly {x}
. What matters to us: {x}|. Hobbies: {x}|, because we love {x}"""),
    "flights": phrases(""". Flights are already booked|, flights booked|. We already have plane tickets|, no transport needed
. I don't need flights|. The train tickets are already bought|, flights are arranged
. The flights are paid for|, we have plane tickets already|. Leave out the flights
. Don't plan the transport|, no flights"""),
    "hotel": phrases(""". The hotel is already booked|, hotel booked|. We stay with friends|, no accommodation needed
. I already have a place to stay|. We don't need a hotel|. Hotel is arranged
, we already have a hotel room|. No accommodation please|. Leave out the hotel|, no hotel
. The rooms are reserved"""),
    "restaurants": phrases(""". No need for restaurants|, without restaurants|. We cook for ourselves|. Skip the restaurants
, no dining tips needed|. Meals are included|, no restaurants|. We don't need restaurants
. Leave out the restaurants|. No dining please|, we do not need restaurant tips"""),
    "sights": phrases(""". No sightseeing|. Skip the attractions|, no sights needed|. We don't want any attractions
, no attractions|. We don't need sights|. Leave out the attractions|. No sights please
, we do not need attractions"""),
    "visa": phrases(""". Add a visa check|, and check the visa rules|. Also look into visas
. Please check the visa rules|, including a visa check|. We need to know about visas
, plus visa rules|. Please add a visa check"""),
    "insurance": phrases(""". Add travel insurance|, and find travel insurance|. We also need insurance
. Include travel insurance|. Please include insurance
. We want travel insurance too|, with travel insurance"""),
    "packing": phrases(""". Add a packing list|, with a packing list|. Tell us what to pack|. Include a packing list
, plus a packing list|. Please write a packing list|. We want a packing list too"""),
    "car": phrases(""". Add a rental car|. We want to rent a car|. Include car hire
, plus a rental car|. Please include a rental car|. We want a hire car too|. We need a car"""),
}
HEADS, HEADS_FOR, HEADS_BARE, SOMEWHERE = (
    joined(own, TRAVEL[kind])
    for kind, own in (
        ("HEADS", HEADS),
        ("HEADS_FOR", HEADS_FOR),
        ("HEADS_BARE", HEADS_BARE),
        ("SOMEWHERE", SOMEWHERE),
    )
)
CLAUSES = {kind: joined(own, TRAVEL[kind]) for kind, own in CLAUSES.items()}
HELD_HEADS, HELD_HEADS_FOR, HELD_HEADS_BARE, HELD_SOMEWHERE = (
    held.TRAVEL[kind] for kind in ("HEADS", "HEADS_FOR", "HEADS_BARE", "SOMEWHERE")
)
HELD_CLAUSES = {kind: held.TRAVEL[kind] for kind in CLAUSES}


@dataclass(slots=True)
class Trip:
    """The facts of one request; an empty string is a fact not given."""

    place: str = ""
    somewhere: str = ""
    adj: str = ""
    span: str = ""
    people: str = ""
    budget: str = ""
    when: str = ""
    likes: str = ""
    flags: frozenset[str] = frozenset()
    sentence: str = ""
    outside: str = ""

    @property
    def to(self) -> str:
        return f"to {self.place}" if self.place else self.somewhere

    @property
    def inside(self) -> str:
        return f"in {self.place}" if self.place else self.somewhere

    @property
    def group(self) -> str:
        return f" for {self.people}" if self.people else ""

    @property
    def money(self) -> str:
        return f" within {self.budget}" if self.budget else ""

    @property
    def date(self) -> str:
        return f" {self.when}" if self.when else ""

    def facts(self) -> list[str]:
        return [f for f in (self.place, self.people, self.budget, self.when.strip(), self.likes) if f]


def request(s: Source) -> Trip:
    """Draw a request with its facts."""
    r = s.rng
    t, head = _heading(s)
    t.people = s.people() if s.chance(0.62) else ""
    t.budget = s.money() if s.chance(0.5) else ""
    t.when = s.when() if s.chance(0.33) else ""
    t.likes = s.likes() if s.chance(0.3) else ""
    t.flags = frozenset(
        r.sample(("flights", "hotel", "restaurants", "sights"), r.choice((0,) * 14 + (1, 1, 1, 1, 2)))
        + r.sample(("visa", "insurance", "packing", "car"), r.choice((0,) * 13 + (1, 1, 1, 1, 2)))
    )
    lower = s.chance(0.13)
    if lower:
        for field in ("place", "people", "budget", "when", "likes"):
            setattr(t, field, getattr(t, field).lower())
    adj = t.adj.replace("long-w", "long w") + " " if t.adj else ""
    if not head.startswith("{") and head not in HEADS_BARE and s.noise(0.08):  # a verb nobody knows
        rest = head.partition(" ")[2]
        head = " ".join(s.pseudo() for _ in range(r.choice((1, 1, 2, 3)))) + " " + rest
    text = head.replace("{adj}", adj)
    text = (articled(text) if s.chance(0.8) else text).format(
        **{"for": t.span}, place=t.place, somewhere=t.somewhere
    )
    clauses = HELD_CLAUSES if s.held else CLAUSES
    text = with_clauses(s, t, text, clauses, ("people", "budget", "when", "likes"), lower)
    text = text.lower() if lower else text[:1].upper() + text[1:] if s.chance(0.8) else text
    t.sentence = greeted(s, ended(s, text))
    return t


def _heading(s: Source) -> tuple[Trip, str]:
    """Draw place and length of a trip, and the sentence's main part, still with its placeholders."""
    r, t = s.rng, Trip()
    heads, heads_for, bare, places = (
        (HELD_HEADS, HELD_HEADS_FOR, HELD_HEADS_BARE, HELD_SOMEWHERE)
        if s.held
        else (HEADS, HEADS_FOR, HEADS_BARE, SOMEWHERE)
    )
    t.place = s.place()
    n = r.choice((2, 3, 3, 4, 5, 5, 6, 7, 8, 9, 10, 12, 14))
    number = str(n) if s.chance(0.6) else NUMBER_WORDS[n - 1]
    t.adj, t.span = r.choice(
        ((f"{number}-day", f"{number} days"),) * 7
        + (
            ("weekend", "a weekend"),
            ("weekend", "a weekend"),
            ("one-week", "a week"),
            ("two-week", "two weeks"),
            ("long-weekend", "a long weekend"),
        )
    )
    head = r.choice(r.choices((heads, heads_for, bare), (40, 32, 28))[0])
    if head in bare:
        t.adj, t.span = "", ""
    if "{somewhere}" in head:
        t.place, t.somewhere = "", r.choice(places)
    if not s.held and s.chance(0.35):
        head = head.replace("trip", r.choice(TRIPS))
    if s.noise(0.1):  # "a quiet trip", "a quiet week"
        word = r.choice((s.common, s.pseudo))()
        head = head.replace("{adj}", word + " {adj}")
        if t.span.startswith("a "):
            head = head.replace("{for}", f"a {word} {t.span[2:]}")
    return t, roughened(s, head)


def plan(t: Trip) -> Plan:
    """Return the plan: the paper's seven agents, less what is booked, plus what is asked for."""
    interests = f", interests: {t.likes}" if t.likes else ""
    span = f" {t.adj}" if t.adj else ""
    likes = f" with {t.likes}" if t.likes else ""
    over = f" over {t.span}" if t.span else ""
    research = (
        f"Find the best areas of {t.place}{t.date}"
        if t.place
        else f"Choose a destination {t.somewhere}{t.date}"
    )
    tasks = [
        Subtask(
            "preferences",
            f"Collect the wishes for the trip {t.to}{t.group}{interests}",
            "preference analyst",
            1,
            (),
        ),
        Subtask("destination", research, "destination expert", 2, ("preferences",)),
        Subtask(
            "transport",
            f"Plan transport {t.to}{t.group}{t.date}{t.money}",
            "transport planner",
            2,
            ("destination",),
        ),
        Subtask(
            "accommodation",
            f"Find accommodation {t.inside}{t.group}{t.money}",
            "accommodation coordinator",
            2,
            ("destination",),
        ),
        Subtask(
            "attractions",
            f"Schedule attractions {t.inside}{over}{likes}",
            "attraction scheduler",
            3,
            ("destination",),
        ),
        Subtask("dining", f"Pick restaurants {t.inside}{t.group}", "culinary expert", 2, ("destination",)),
    ]
    tasks = [x for x in tasks if BOOKED.get(x.id) not in t.flags]
    have = {x.id for x in tasks}
    extra = {
        "visa": Subtask(
            "visa", f"Check the visa rules for the trip {t.to}", "visa adviser", 1, ("preferences",)
        ),
        "insurance": Subtask(
            "insurance", f"Find travel insurance{t.group}{t.date}", "insurance adviser", 1, ("preferences",)
        ),
        "car": Subtask("car", f"Rent a car {t.inside}{t.group}", "car rental agent", 1, ("destination",)),
        "packing": Subtask(
            "packing",
            f"Write a packing list for the trip {t.to}{t.date}",
            "packing adviser",
            1,
            ("destination",),
        ),
    }
    tasks += [task for key, task in extra.items() if key in t.flags]
    where = f"for {t.place}" if t.place else f"for the trip {t.somewhere}"
    last = [x.id for x in tasks if x.id not in ("preferences", "destination")]
    assert have
    tasks.append(
        Subtask(
            "itinerary",
            f"Write the{span} itinerary {where}{t.group}{t.money}",
            "itinerary writer",
            3,
            tuple(last) or ("destination",),
        )
    )
    return Plan(tuple(tasks))


# --- what the agents answer ------------------------------------------------------------------------------

CONTEXT = {
    "area": phrases("Stay near {x}.|The best area is {x}.|We recommend {x}.|Base the trip in {x}."),
    "ride": phrases("Take {x}.|Travel by {x}.|The best way is {x}.|Book {x}."),
    "hotel": phrases("Book {x}.|Stay at {x}.|Hotel: {x}.|We chose {x}."),
    "sights": phrases("Visit {x}.|See {x}.|Sights: {x}.|Do not miss {x}."),
    "table": phrases("Have dinner at {x}.|Eat at {x}.|Restaurant: {x}.|Reserve a table at {x}."),
}
CONTEXT = {kind: joined(own, TRAVEL["contexts"][kind]) for kind, own in CONTEXT.items()}
HELD_CONTEXT = held.TRAVEL["contexts"]
SOURCE_OF = {
    "area": "destination",
    "ride": "transport",
    "hotel": "accommodation",
    "sights": "attractions",
    "table": "dining",
}
SLOT_OF = {v: k for k, v in SOURCE_OF.items()}


def known(t: Trip) -> dict[str, str]:
    """Return what the teaching agents themselves come up with: made-up but marked by the place's name."""
    p = re.sub(r"\bthe ", "", t.place, count=1, flags=re.IGNORECASE)
    return {
        "area": f"the old town of {t.place}" if p else "a small town near the coast",
        "ride": f"a direct train or flight {t.to}",
        "hotel": f"the {p} Garden Hotel" if p else "a small family hotel",
        "sights": f"the {p} City Museum and the {p} Old Market" if p else "the old harbour and the market",
        "table": f"the {p} Corner Kitchen" if p else "a family restaurant on the main square",
    }


def found(s: Source) -> dict[str, str]:
    """Return findings with random names, as other agents or people may have put them."""
    r = s.rng
    a, b, c = s.name(), s.name(), s.name()
    hour = f"{r.randint(5, 22):02d}:{r.choice(('00', '05', '15', '20', '30', '40', '45'))}"
    return {
        "area": r.choice((f"the {a} quarter", f"{a}", f"the {a} district", f"the area around {a} Square")),
        "ride": r.choice(
            (
                f"the {hour} train to {b}",
                f"flight {b[:2].upper()}{r.randint(10, 999)}",
                f"the {b} Express",
                f"the night bus from {b}",
                f"the {hour} ferry",
                f"{b} Airlines",
            )
        ),
        "hotel": r.choice(
            (
                f"Hotel {c}",
                f"the {c} Inn",
                f"Villa {c}",
                f"{c} Guesthouse",
                f"the {c} {a}",
                f"Hotel {c} for {s.money()} a night",
                f"the {c} Hostel",
            )
        ),
        "sights": r.choice(
            (
                f"the {b} Temple and {a} Park",
                f"{a} Castle",
                f"the {c} Museum, {b} Bridge and {a} Tower",
                f"{b} Beach and the {c} Gallery",
                f"the {a} {b}",
            )
        ),
        "table": r.choice(
            (f"{a} Kitchen", f"Café {b}", f"the {c} Tavern", f"Trattoria {b}", f"{c}", f"Chez {a}")
        ),
    }


def answer(t: Trip, task: Subtask, got: dict[str, str]) -> str:
    """Return an agent's answer, given the findings that its context shows."""
    p, mine = t.inside, known(t)
    money = (
        f" Keep it within {t.budget}."
        if t.budget
        else " No budget was given, so a moderate price is assumed."
    )
    near = f" It is close to {got['area']}." if "area" in got else ""
    span = f" for {t.span}" if t.span else ""
    liked = f" They like {t.likes}." if t.likes else ""
    match task.id:
        case "preferences":
            who = (
                f"The trip {t.to} is{t.group}{span}{t.date}."
                if t.people
                else f"The trip is {t.to}{span}{t.date}."
            )
            rest = (
                f" The budget is {t.budget}."
                if t.budget
                else " No budget was given, so a moderate one is assumed."
            )
            return who + rest + liked
        case "destination":
            like = f" For {t.likes}, ask locally for the best spots." if t.likes else ""
            when = f" As you travel{t.date}, check the weather before you pack." if t.when else ""
            return f"Base the trip in {mine['area']}, which is easy to explore on foot.{like}{when}"
        case "transport":
            return f"Take {mine['ride']}{t.date}{t.group}. Use public transport in the city.{money}"
        case "accommodation":
            return f"Book {mine['hotel']}{t.group}{span}.{near}{money}"
        case "attractions":
            like = f" Leave time for {t.likes}." if t.likes else ""
            start = f" Start in {got['area']}." if "area" in got else ""
            return f"Visit {mine['sights']}.{start}{like} Keep one afternoon free."
        case "dining":
            like = f" Mention that you like {t.likes}." if t.likes else ""
            return f"Have dinner at {mine['table']}. Reserve a table{t.group}.{near}{like}"
        case "visa":
            return f"Check the entry rules for the trip {t.to} with the embassy, and that passports are valid for six months."
        case "insurance":
            return f"Take travel insurance{t.group}{t.date} that covers illness, cancellation and luggage."
        case "car":
            return f"Rent a small car {p}{t.group}.{money}"
        case "packing":
            return f"Pack for the trip {t.to}{t.date}: documents, chargers, a first-aid kit, good shoes and clothes in layers."
        case "itinerary":
            return _itinerary(t, got)
    return general(t, task.description)


def _itinerary(t: Trip, got: dict[str, str]) -> str:
    ride = f"Take {got['ride']}" if "ride" in got else "Arrive as booked"
    hotel = f"check in at {got['hotel']}" if "hotel" in got else "check in"
    sights = f"see {got['sights']}" if "sights" in got else f"explore {t.place or 'the area'}"
    table = f"dinner at {got['table']}" if "table" in got else "a free evening"
    middle = " Between them: excursions and free time." if "week" in plain(t.adj).split("-") else ""
    if plain(t.adj) in ("weekend", "2-day", "two-day"):
        text = f"Day 1: {ride} and {hotel}, then {table}. Day 2: {sights}, then travel home."
    else:
        text = f"Day 1: {ride} and {hotel}. Day 2: {sights}, then {table}. Last day: travel home.{middle}"
    end = f" The trip {t.to} is planned{t.group}{t.date}" + (
        f" with a budget of {t.budget}." if t.budget else "."
    )
    return text + end


def general(t: Trip, task: str) -> str:
    """Return the answer to a task somebody added: restate it with the facts, promise nothing."""
    budget = f" with a budget of {t.budget}" if t.budget else ""
    return (
        f"{task.rstrip('.')}: this is for the trip {t.to}{t.group}{t.date}{budget}. "
        "I have no live data, so confirm the details with an official source."
    )


ADDED = (
    "Check visa rules|Check vaccinations|Compare airport transfers|Book museum tickets|Check the weather"
    "|Buy a local SIM card|Exchange money|Reserve airport parking|Find a babysitter|Check passport validity|Plan a day trip"
    "|Plan a rainy-day alternative|Find wheelchair access|List useful phrases|Check local holidays|Rent bicycles"
    "|Find a laundry|Estimate the costs|Compare prices|Find a running route|Look up emergency numbers|Buy gifts for {name}"
    "|Ask {name} about the keys|Book a guide called {name}|Find a pharmacy near {name}|Reserve the {name} tour|Call {name}"
    "|Check the opening hours of {name}|Translate the menu|Plan a surprise for {name}|Check luggage rules|Tell {name}"
).split("|")
ADDED += list(TRAVEL["ADDED"])
HELD_ADDED = held.TRAVEL["ADDED"]
