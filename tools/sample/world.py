"""The facts of the small world: true in every story, and what the instruction tasks ask about.

A cow moos and sleeps in a barn wherever it turns up, so a model that has read the stories can answer questions
that only name the cow. Nothing here is random; `lessons.py` turns each table into questions and answers.
"""

from tools.sample.words import listed


def table(text: str) -> list[tuple[str, ...]]:
    """One row a line, fields parted by commas."""
    return [tuple(field.strip() for field in line.split(",")) for line in text.strip().splitlines()]


def pairs(text: str) -> dict[str, str]:
    """`hot: cold, big: small` as a dict."""
    return dict(tuple(" ".join(side.split()) for side in pair.split(":")) for pair in text.split(","))


# animal: (sound, the sound in the past, home, food, young)
ANIMALS = {
    name: tuple(rest)
    for name, *rest in table("""
    cow, moo, mooed, barn, grass, calf
    dog, bark, barked, kennel, meat, puppy
    cat, meow, meowed, basket, fish, kitten
    duck, quack, quacked, pond, weeds, duckling
    hen, cluck, clucked, coop, corn, chick
    pig, oink, oinked, sty, turnips, piglet
    sheep, bleat, bleated, fold, clover, lamb
    horse, neigh, neighed, stable, hay, foal
    donkey, bray, brayed, shed, thistles, foal
    lion, roar, roared, den, meat, cub
    wolf, howl, howled, lair, meat, cub
    owl, hoot, hooted, hollow tree, mice, owlet
    frog, croak, croaked, ditch, flies, tadpole
    mouse, squeak, squeaked, hole, cheese, pup
    bee, buzz, buzzed, hive, nectar, larva
    snake, hiss, hissed, burrow, eggs, snakelet
    crow, caw, cawed, nest, worms, fledgling
    goose, honk, honked, pen, grass, gosling
    dove, coo, cooed, loft, seeds, squab
    bear, growl, growled, cave, honey, cub
    monkey, chatter, chattered, treetop, bananas, infant
    parrot, squawk, squawked, cage, nuts, chick
    sparrow, chirp, chirped, hedge, crumbs, nestling
    elephant, trumpet, trumpeted, jungle, leaves, calf
""")
}
# From the smallest to the biggest; only animals whose order nobody would argue about.
ANIMALS_BY_SIZE = listed("bee mouse frog duck dog sheep cow elephant")
# job: (tool, workplace, what the worker did all day)
JOBS = {
    name: tuple(rest)
    for name, *rest in table("""
    baker, oven, bakery, baked bread
    farmer, tractor, farm, ploughed the field
    teacher, chalk, school, taught the children
    carpenter, hammer, workshop, mended chairs
    painter, brush, studio, painted pictures
    fisherman, net, harbour, caught fish
    tailor, needle, shop, sewed coats
    gardener, spade, garden, planted roses
    barber, scissors, salon, cut hair
    cook, pan, kitchen, made soup
    blacksmith, anvil, forge, shaped iron
    postman, bag, post office, brought letters
    sailor, rope, ship, raised the sails
    firefighter, hose, fire station, put out fires
    librarian, stamp, library, lent books
    miner, lamp, mine, dug for coal
    nurse, thermometer, hospital, cared for sick people
    cleaner, broom, hall, swept the floor
    mechanic, spanner, garage, repaired cars
    shepherd, crook, pasture, watched the sheep
    dentist, drill, clinic, looked after teeth
    astronomer, telescope, tower, watched the stars
    butcher, knife, market, sold meat
    conductor, whistle, train, checked the tickets
""")
}
COLOURS_OF = pairs("""
    apple: red, banana: yellow, plum: purple, lemon: yellow, pear: green, cherry: red, strawberry: red, blueberry: blue,
    lime: green, blackberry: black, apricot: orange, coconut: brown, carrot: orange, tomato: red, pumpkin: orange,
    cucumber: green, snow: white, coal: black, grass: green, milk: white, chocolate: brown, butter: yellow, salt: white,
    honey: golden, cabbage: green, beetroot: purple
""")
FRUITS = listed("apple banana plum lemon pear cherry strawberry blueberry lime blackberry apricot coconut")
OPPOSITES = pairs("""
    hot: cold, big: small, fast: slow, happy: sad, old: young, light: dark, full: empty, wet: dry, hard: soft,
    long: short, open: closed, early: late, loud: quiet, rich: poor, strong: weak, clean: dirty, near: far, high: low,
    wide: narrow, thick: thin, heavy: light, brave: afraid, sweet: sour, rough: smooth, right: wrong, up: down,
    day: night, friend: enemy, begin: end, push: pull, win: lose, remember: forget, buy: sell, always: never,
    inside: outside, deep: shallow
""")
SYNONYMS = pairs("""
    glad: happy, large: big, little: small, quick: fast, silent: quiet, clever: smart, angry: cross, begin: start,
    finish: end, shout: yell, pretty: beautiful, tired: sleepy, odd: strange, gift: present, sick: ill, rich: wealthy,
    sad: unhappy, easy: simple, afraid: scared, correct: right, road: street, stone: rock, reply: answer, help: aid
""")
PLURALS = pairs("""
    child: children, man: men, woman: women, foot: feet, tooth: teeth, mouse: mice, goose: geese, sheep: sheep,
    fish: fish, leaf: leaves, knife: knives, wolf: wolves, loaf: loaves, shelf: shelves, baby: babies, city: cities,
    cherry: cherries, story: stories, puppy: puppies, box: boxes, bus: buses, dish: dishes, brush: brushes, fox: foxes,
    potato: potatoes, tomato: tomatoes, book: books, key: keys, apple: apples, boat: boats
""")


def plural(noun: str) -> str:
    """Of nouns that follow the rule, and of those of the table that do not."""
    return PLURALS.get(noun) or (noun[:-1] + "ies" if noun.endswith("y") else noun + "s")


PASTS = pairs("""
    go: went, eat: ate, see: saw, run: ran, swim: swam, sing: sang, write: wrote, give: gave, take: took, buy: bought,
    bring: brought, think: thought, catch: caught, teach: taught, find: found, lose: lost, make: made, come: came,
    drink: drank, speak: spoke, break: broke, build: built, sleep: slept, keep: kept, feel: felt, fly: flew, know: knew,
    grow: grew, draw: drew, throw: threw, fall: fell, hold: held, ride: rode, drive: drove, sell: sold, tell: told,
    walk: walked, jump: jumped, carry: carried, stop: stopped
""")
# word: (comparative, superlative)
COMPARATIVES = {
    name: tuple(rest)
    for name, *rest in table("""
    big, bigger, biggest
    small, smaller, smallest
    tall, taller, tallest
    fast, faster, fastest
    slow, slower, slowest
    happy, happier, happiest
    heavy, heavier, heaviest
    good, better, best
    bad, worse, worst
    far, farther, farthest
    old, older, oldest
    young, younger, youngest
    hot, hotter, hottest
    thin, thinner, thinnest
    easy, easier, easiest
    strong, stronger, strongest
    long, longer, longest
    short, shorter, shortest
    funny, funnier, funniest
    brave, braver, bravest
""")
}
CATEGORIES = {
    category: listed(members)
    for category, members in pairs("""
    animal: cow dog cat pig sheep horse donkey lion wolf bear monkey,
    bird: duck hen owl crow goose dove parrot sparrow,
    fruit: apple banana plum lemon pear cherry lime apricot,
    vegetable: carrot cabbage cucumber beetroot turnip onion potato leek,
    tool: hammer spade needle brush spanner broom drill axe,
    colour: red yellow purple green blue black orange brown white,
    job: baker farmer teacher painter tailor sailor nurse barber,
    instrument: violin drum flute trumpet piano guitar harp,
    vehicle: car bus train ship tractor bicycle lorry,
    tree: oak willow birch pine maple elm,
    flower: rose daisy tulip poppy violet lily,
    drink: milk tea coffee juice water cocoa
""").items()
}
RHYMES = pairs("""
    cat: hat, dog: fog, mouse: house, bee: tree, goat: boat, hen: pen, frog: log, bear: chair, moon: spoon, star: car,
    light: night, rain: train, snow: crow, ring: king, cake: lake, ball: wall, bell: shell, book: cook, sheep: sleep,
    pig: wig, sun: bun, clock: sock, cold: gold, day: hay
""")
ABBREVIATIONS = pairs("""
    u: you, gr8: great, 2nite: tonight, 2moro: tomorrow, pls: please, txt: text, b4: before, l8r: later, thx: thanks,
    msg: message, lol: laughing out loud, btw: by the way, asap: as soon as possible, bday: birthday, m8: mate,
    wkend: weekend, brb: be right back, cuz: because
""")
# wrong: right
SPELLINGS = pairs("""
    frend: friend, skool: school, becaus: because, hapy: happy, aple: apple, watter: water, gardin: garden, tabel: table,
    wite: white, peple: people, littel: little, gren: green, muther: mother, bred: bread, hors: horse, brige: bridge,
    kitchin: kitchen, letr: letter, yelow: yellow, rivver: river, tomorow: tomorrow, writting: writing, animel: animal,
    birthdy: birthday, villige: village, winndow: window
""")
# first half: second half
PROVERBS = pairs("""
    the early bird: finds the fattest worm, a shared cake: tastes twice as sweet, many small drops: fill the bucket,
    a quiet river: runs deep, who plants in spring: eats in autumn, two friends on the road: make the road short,
    a borrowed umbrella: keeps nobody dry for long, slow feet: still reach the hill, an open door: makes a warm house,
    a kind word: costs nothing, the last match: must be held with care, no honey: without the bees,
    a tidy shelf: saves an hour, the loudest dog: is seldom the bravest, a promise in the evening: is work in the morning,
    every long story: starts with one word
""")

DAYS = listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = listed("January February March April May June July August September October November December")
SEASON_OF = {month: ("winter", "spring", "summer", "autumn")[(i + 1) // 3 % 4] for i, month in enumerate(MONTHS)}
NUMBERS = listed("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty
""")

# (base, third person, past, object): what people of this world do, for sentences that get rewritten
ACTIONS = table("""
    feed, feeds, fed, the hens
    paint, paints, painted, the fence
    ride, rides, rode, the horse
    write, writes, wrote, a letter
    sing, sings, sang, a song
    buy, buys, bought, some bread
    drink, drinks, drank, the milk
    read, reads, read, a book
    build, builds, built, a small boat
    draw, draws, drew, a map
    catch, catches, caught, a fish
    wash, washes, washed, the dishes
    carry, carries, carried, the basket
    open, opens, opened, the window
    sweep, sweeps, swept, the floor
    bake, bakes, baked, a cake
    find, finds, found, the key
    teach, teaches, taught, the class
    water, waters, watered, the flowers
    sell, sells, sold, the cheese
    mend, mends, mended, the chair
    throw, throws, threw, the ball
    eat, eats, ate, a pear
    play, plays, played, the drum
""")

HAPPY = listed("""
    {who} laughed all day|{who} got a lovely present|{who} won the race|{who} found the lost puppy|{who} smiled at the
    sunny garden|{who} danced with joy|{who} loved the sweet cake|{who} hugged a good friend|{who} was proud of the
    picture
""")
SAD = listed("""
    {who} cried all night|{who} lost the new kite|{who} broke a favourite cup|{who} missed the last train|{who} felt
    lonely in the empty house|{who} had nobody to play with|{who} was too ill to go to the party|{who} dropped the cake in
    the mud|{who} waited but no friend came
""")
