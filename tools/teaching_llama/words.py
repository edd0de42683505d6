"""Word lists of the generator. `TRAIN_…` and `HELD_…` never share an entry (a test says so)."""

from __future__ import annotations

TRAIN_SYLLABLES = (
    "b br c ch d dr f g gr h j k kl l m n p pr r s sh st t tr v w y z".split(),
    "a e i o u ai ea ou ia".split(),
    "n r l s t m k nd st x".split(),
)
HELD_SYLLABLES = (
    "bl cr dw fl gl kh l m n ph q rh sk sp t th v vl zh".split(),
    "a e i o u ei oa ue y".split(),
    "ck d f g lm rn sk p rt v".split(),
)
UNITS = "dollars dollars euros euros pounds yen francs USD EUR crowns rupees".split()
CODES = "EUR USD GBP CHF JPY".split()
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
EVENTS = "treaty flood election strike reform project harbour railway agreement".split()

TRAIN_PLACES = """Paris|London|Rome|Berlin|Madrid|Barcelona|Amsterdam|Vienna|Prague|Budapest|Athens|Dublin|Oslo|Stockholm
Copenhagen|Helsinki|Warsaw|Krakow|Brussels|Bruges|Geneva|Zürich|Milan|Venice|Florence|Naples|Porto|Seville|Granada
Istanbul|Cairo|Tunis|Nairobi|Cape Town|Lagos|Accra|Dakar|Tokyo|Osaka|Sapporo|Seoul|Busan|Beijing|Shanghai|Hong Kong
Taipei|Bangkok|Chiang Mai|Hanoi|Singapore|Kuala Lumpur|Jakarta|Bali|Manila|Delhi|Mumbai|Jaipur|Goa|Kathmandu|Colombo
Dubai|Doha|Jerusalem|Amman|Beirut|Moscow|Tbilisi|Yerevan|Baku|Almaty|Sydney|Melbourne|Perth|Auckland|Queenstown|Fiji
New York|Boston|Chicago|Seattle|San Francisco|Los Angeles|Las Vegas|New Orleans|Miami|Toronto|Montreal|Québec|Vancouver
Mexico City|Oaxaca|Cancún|Havana|San José|Bogotá|Medellín|Quito|Lima|Cusco|La Paz|Santiago|Buenos Aires|Montevideo
São Paulo|Salvador|Malmö|Göteborg|Köln|München|Hamburg|Dresden|Salzburg|Ljubljana|Zagreb|Split|Sarajevo|Sofia
Bucharest|Kyiv|Lviv|Riga|Tallinn|Vilnius|Reykjavík|Edinburgh|Glasgow|Cardiff|Belfast|York|Bath|Lyon|Nice|Bordeaux
Aix-en-Provence|Baden-Baden|Rio de Janeiro|Spain|Italy|France|Japan|Norway|Iceland|Greece|Turkey|Egypt|Kenya|India
Vietnam|Thailand|Chile|Canada|Mexico|Cuba|Sri Lanka|Costa Rica|South Africa|the Alps|the Dolomites|the Azores|Tuscany
Sicily|Corsica|Bavaria|Patagonia|Scotland|Ireland|Wales|Hawaii|Alaska|California|Kerala|Sumatra|the Black Forest""".replace(
    "\n", "|"
).split("|")

HELD_PLACES = """Kyoto|Lisbon|Marrakech|Peru|Nara|Hiroshima|Fez|Casablanca|Zanzibar|Addis Ababa|Windhoek|Antananarivo
Valparaíso|Córdoba|Arequipa|Cartagena|Guadalajara|Puerto Vallarta|Santa Fe|Savannah|Nashville|Anchorage|Halifax
Saskatoon|Gdańsk|Wrocław|Kraków|Brno|Plovdiv|Thessaloniki|Dubrovnik|Kotor|Mostar|Palermo|Bologna|Verona|Turin|Genoa
Bilbao|San Sebastián|Coimbra|Évora|Funchal|Heidelberg|Freiburg|Nürnberg|Bergen|Tromsø|Ålesund|Aarhus|Turku|Tartu
Galway|Inverness|Liverpool|Strasbourg|Marseille|Saint-Malo|Samarkand|Bukhara|Ulaanbaatar|Lhasa|Chengdu|Xi'an|Guilin
Luang Prabang|Hoi An|Siem Reap|Yogyakarta|Penang|Darjeeling|Udaipur|Varanasi|Muscat|Wadi Rum|Hobart|Wellington|Rotorua
Morocco|Portugal|Jordan|Bolivia|Namibia|Georgia|Croatia|Slovenia|Nepal|Mongolia|Madagascar|the Lofoten Islands
the Faroe Islands|Occitania|Andalusia|Brittany|Transylvania|Stratford-upon-Avon|Bad Gastein|Ho Chi Minh City""".replace(
    "\n", "|"
).split("|")

TRAIN_PEOPLE = """Anna|Ben|Carla|David|Elif|Farid|Grace|Hiro|Ivan|Julia|Kofi|Lena|Marco|Nadia|Omar|Petra|Quentin|Rosa
Sven|Tara|Uma|Victor|Wei|Ximena|Yusuf|Zoe|Mr Brown|Dr Silva|Mrs Okafor""".replace("\n", "|").split("|")
HELD_PEOPLE = """Beatriz|Chidi|Dagmar|Emre|Fiona|Giulia|Håkan|Ingrid|Jamal|Katarzyna|Leïla|Mateo|Ngozi|Oleksandr|Priya
Ms Lindqvist|Dr Haddad|Mr Tanaka""".replace("\n", "|").split("|")

TRAIN_LIKES = """temples|museums|street food|hiking|beaches|jazz|modern art|architecture|history|wine|castles|gardens
night markets|surfing|diving|birdwatching|vegetarian food|seafood|photography|live music|theatre|opera|cycling|skiing
old churches|science museums|zoos|amusement parks|football|markets|coffee shops|nightlife|nature|waterfalls|volcanoes
local crafts|shopping|design|boat trips|hot springs|cooking classes|literature|film|palaces|ruins|quiet places|sunsets
vegan food|halal food|craft beer|tea|yoga|running|swimming|snorkelling|playgrounds|trains|mountains|lakes|wildlife""".replace(
    "\n", "|"
).split("|")
HELD_LIKES = """pottery|bookshops|ceramics|street art|kayaking|medieval towns|flea markets|gluten-free food|stargazing
contemporary dance|botanical gardens|ramen|cheese|climbing|archaeology|sailing|vintage shops|puppet theatre|lighthouses
bridges|chocolate|folk music|manga|canals""".replace("\n", "|").split("|")

TRAIN_TOPICS = """solar power|wind energy|battery storage|electric cars|climate change|ocean plastic|air pollution
urban trees|public transport|remote work|machine learning|language models|social media|online learning|sleep|nutrition
mental health|vaccines|antibiotics|obesity|diabetes|exercise|school meals|housing prices|inflation|minimum wage
universal basic income|microfinance|cryptocurrency|trade policy|migration|ageing populations|gender equality|elections
press freedom|water scarcity|desalination|soil health|organic farming|vertical farming|bees|coral reefs|deforestation
wildfires|floods|earthquakes|nuclear power|hydrogen|carbon capture|recycling|food waste|fast fashion|tourism|aviation
high-speed rail|cycling|road safety|drones|robots|quantum computing|semiconductors|satellites|space debris|exoplanets
dark matter|gene editing|stem cells|cancer screening|hospital staffing|telemedicine|data privacy|cyber security
open source software|digital identity|smart cities|green roofs|heat pumps|insulation|biodiversity|invasive species
fisheries|dairy farming|plant-based meat|tea production|coffee prices|the wine industry|video games|streaming services
libraries|museums|local newspapers|literacy|bilingualism|early childhood education|teacher training|student debt
prison reform|gun control|homelessness|volunteering|the gig economy|four-day week|trade unions|supply chains|ports
shipping|steel|cement|rare earths|lithium mining|gold|oil prices|child labour|women in science|agriculture|medicine""".replace(
    "\n", "|"
).split("|")
HELD_TOPICS = """battery recycling|tidal energy|peatlands|urban noise|night trains|ride sharing|algae fuel|sign language
chronic pain|sleep apnoea|hearing loss|malaria|school uniforms|rent control|pension funds|crowdfunding|fake news
voter turnout|groundwater|composting|mangroves|glaciers|landslides|geothermal heat|district heating|textile reuse
cargo bikes|parking fees|3D printing|facial recognition|telescopes|neutrinos|gene therapy|nursing homes|chatbots
open data|tiny houses|wetlands|salmon farming|cocoa|olive oil|podcasts|public parks|dyslexia|apprenticeships|flexitime
copper|sand mining|microplastics|light pollution|beekeeping|renewable energy|social isolation|urban farming""".replace(
    "\n", "|"
).split("|")
TRAIN_ADJECTIVES = "modern early digital rural urban global local cheap sustainable industrial public private recent European African Asian ancient medical".split()
HELD_ADJECTIVES = "regional affordable community-led large-scale offshore medieval Nordic informal".split()

TRAIN_AUDIENCES = """city planners|high school students|teachers|the board|managers|investors|a general audience|engineers
policy makers|doctors|my boss|my class|my professor|students|beginners|the city council|executives|parents|farmers
my team|journalists|non-experts|the ministry|our customers|a non-profit|shareholders|nurses""".replace(
    "\n", "|"
).split("|")
HELD_AUDIENCES = """librarians|the steering committee|first-year undergraduates|local businesses|lawyers|the museum's staff
retirees|our donors|firefighters|the parish council|architects|small investors""".replace("\n", "|").split(
    "|"
)
