"""The vocabulary of the stories: who lives in the small world, and what they see, carry, wear and feel.

Templates name these lists in capitals (`[ADVERB]`); `telling.py` picks from them.
"""


def listed(text: str) -> tuple[str, ...]:
    """Words parted by blanks, or phrases parted by `|`. Lists are kept as text, because that is how people read them."""
    return tuple(" ".join(part.split()) for part in (text.split("|") if "|" in text else text.split()))


GIRLS = listed("""
    Anna Nora Lucy Mia Ella Rosa Clara Ivy Hanna Ruby Alice Emma Grace Molly Tess Zoe Vera Lena Maya Olive Pippa Sara
    Wendy Judy Kate Beth Flora Hazel Nina Polly
""")
BOYS = listed("""
    Tom Ben Max Leo Sam Oscar Hugo Felix Jack Noah Peter Adam Finn Karl Luke Owen Paul Ralph Simon Theo Victor Will Arthur
    Dylan Eric Frank George Henry Ivan Jonas
""")
PET_NAMES = listed("""
    Biscuit Pepper Shadow Button Rusty Ginger Marble Socks Bramble Pickle Dusty Clover Misty Bandit Nutmeg Patch Domino Tiger Pebble Snowy
""")
TOWNS = listed("""
    Millbrook Oakley Redhill Fernside Applewick Stonebridge Larkfield Greyport Willowby Sandmouth Highmoor
""")
TEACHERS = tuple(
    (name, "he" if name.startswith("Mr ") else "she")
    for name in listed("Miss Hill|Mr Stone|Mrs Marsh|Mr Brook|Miss Field|Mr Wood|Mrs Lane|Mr Banks|Miss Pool|Mr Ash")
)

LISTS = {
    "COLOUR": listed("red blue green yellow purple orange white black brown pink grey silver golden"),
    "ADVERB": listed("""
        slowly quickly quietly carefully gently happily bravely calmly cheerfully eagerly softly patiently proudly politely
        suddenly silently kindly gladly neatly nervously firmly lazily
    """),
    "LOOK": listed("""
        old new tiny huge round square shiny dusty broken pretty plain heavy light narrow wooden painted striped spotted
        crooked smooth rough faded polished little tall
    """),
    "GOOD": listed("happy glad proud pleased cheerful delighted merry thankful joyful content excited"),
    "BAD": listed("sad cross worried upset lonely gloomy tearful unhappy anxious miserable disappointed"),
    "THING": listed("""
        ball kite hat scarf key lamp drum whistle book map cup spoon ring coin button candle basket umbrella bell doll boat
        puppet rope box watch necklace bottle blanket cushion mirror pencil ruler compass feather shell marble hammer jug
        teapot ladle glove mitten boot lantern flute violin clock vase ribbon purse wallet satchel sledge telescope kettle
        bucket trumpet torch comb fan notebook postcard stamp magnet spinning-top
    """),
    "CONTAINER": listed(
        "basket drawer cupboard suitcase chest sack barrel crate bucket wardrobe trunk tin satchel bag box"
    ),
    "ROOM": listed("kitchen bedroom hall attic cellar bathroom study pantry garage workshop parlour nursery"),
    "PLACE": listed("""
        park forest beach market library harbour meadow bridge station castle orchard museum bakery mill farm garden
        playground lake hill churchyard square bookshop theatre zoo stable lighthouse field valley pier greenhouse quarry
        campsite fair
    """),
    "TREE": listed("oak willow birch pine maple elm chestnut beech cedar hawthorn"),
    "FLOWER": listed("rose daisy tulip poppy violet lily bluebell primrose sunflower marigold daffodil"),
    "FOOD": listed("""
        bread soup cheese porridge pie stew pancakes rice noodles toast jam salad beans pudding biscuits sausages dumplings
        pasta omelette mushrooms
    """),
    "DRINK": listed("milk tea cocoa juice lemonade water cider"),
    "MATERIAL": listed("wood glass wool paper silk leather copper clay straw tin cotton iron"),
    "GAME": listed("chess cards marbles dominoes tag hide-and-seek football skittles hopscotch draughts rounders"),
    "KIN": listed("mother father aunt uncle grandmother grandfather cousin sister brother"),
    "TIME": listed("""
        in the morning|before lunch|after lunch|in the afternoon|towards evening|at noon|after school|at sunset|before
        breakfast|an hour later|a little later|after supper|when the church clock struck four
    """),
    "FIRST": listed("""
        One morning|One day|One afternoon|Last week|Early one morning|Not long ago|On a quiet day|One weekend|Late in the
        day|Yesterday|At the start of the holidays|A few days ago
    """),
    "PART": listed("roof gate wall fence door window chimney path step bench stair corner shelf ledge post doormat"),
    "SIGHT": listed("""
        a snail on a leaf|two squirrels in a tree|a lorry full of melons|a man with a long ladder|a cloud like a whale|a boy
        on stilts|a woman with four umbrellas|three sleepy ducks|a rainbow over the roofs|a spider in its web|a hedgehog under
        a bush|a swarm of gnats|a heron by the stream|a butterfly with torn wings|a yellow taxi|an empty nest|a beetle with
        green wings|a bicycle without wheels|a kitten behind a curtain|a band with brass horns|a cart full of hay|a sailor
        with a parrot|an acrobat on a wire|a fat pigeon on a statue|a juggler with five plates|a girl in a paper crown|a swan
        on the canal|a very old tortoise|a rabbit in the lettuce|a kite caught on a chimney
    """),
    "HOBBY": listed("""
        collecting shells|drawing horses|reading about pirates|baking small cakes|playing the flute|building model
        ships|growing beans|watching birds|telling jokes|knitting socks|fixing old clocks|counting stars|singing in the
        choir|skating|swimming|painting eggs|carving spoons|flying kites|writing poems|climbing trees
    """),
    "BODY": listed("hand arm knee elbow finger shoulder ankle thumb toe chin"),
    "SMELL": listed("smoke lavender soap apples rain leather bread pepper honey fish mint cinnamon tar vanilla"),
    "SOUNDING": listed("""
        a bell rang|a door creaked|a cart rattled|a dog barked|a branch snapped|someone sneezed|a shutter banged|a train
        whistled|a glass fell|a clock ticked|thunder rumbled|the floor squeaked
    """),
    "EXCLAIM": listed("Look|Wait|Listen|Oh dear|Well|Goodness|Come here|My word|Oh"),
    "NUMBER": listed("two three four five six seven eight nine ten eleven twelve twenty"),
    "MANNER": listed("""
        with a smile|with a sigh|in a low voice|without a word|with both hands|as fast as possible|with great care|in one
        go|on tiptoe|with a nod|for a long while|once again
    """),
    "VIRTUE": listed("""
        kind brave clever honest patient gentle careful helpful generous polite hard-working curious lively shy
    """),
    "PEOPLE": listed("""
        neighbour|stranger|policeman|old lady|tall man|captain|shopkeeper|ticket
        seller|fiddler|clown|traveller|beekeeper|painter|cook|sailor|nurse|gardener|student|twin|waiter|grocer|chemist|knight|wizard
    """),
    "TONE": listed(
        "with a smile|with a sigh|in a low voice|with a nod|once again|at once|from the door|over the fence"
    ),
}

# weather: (sentences about the sky, what one wears, how a person feels in it)
WARM_WEATHER = ("sunny", "hot")
WEATHER = {
    "rainy": (
        listed("""
        Rain drummed on the roofs.|It had been raining since dawn.|Grey clouds hung over the town, and it rained.
    """),
        "raincoat",
        "wet",
    ),
    "sunny": (
        listed("The sun shone on the roofs.|There was not one cloud in the sky.|It was a bright and sunny day."),
        "straw hat",
        "warm",
    ),
    "snowy": (
        listed("""
        Snow lay on every wall.|Soft snow fell from a white sky.|The pond was frozen, and the snow was deep.
    """),
        "woollen scarf",
        "cold",
    ),
    "windy": (
        listed("""
        A strong wind shook the trees.|The wind chased leaves along the street.|It was so windy that hats flew away.
    """),
        "thick jacket",
        "chilly",
    ),
    "foggy": (
        listed("""
        Fog covered the fields like a blanket.|The fog was so thick that the lamps looked like moons.|Nobody could see the
        other side of the foggy street.
    """),
        "warm coat",
        "damp",
    ),
    "hot": (
        listed("It was the hottest day of the year.|The air was hot and still.|Even the stones were hot."),
        "thin shirt",
        "hot",
    ),
}
