"""How each kind of task is put: in writing, as an instruction record, and aloud, by a teacher in a story.

A paragraph per kind. Lines `instruction | input => output` are written (without a bar, the input is empty), lines `? question => answer`
are spoken. Pupils and records answer in the same words, so that what was read in school helps with the task; but no record is written
down in any story.
"""

TEXT = """
opposite
    What is the opposite of '{x}'? => The opposite of '{x}' is '{y}'.
    Give the opposite of the word '{x}'. => The opposite of '{x}' is '{y}'.
    Write the opposite of the word. | {x} => {y}
    Find a word that means the opposite. | {x} => The opposite of '{x}' is '{y}'.
    ? Tell me the opposite of '{x}' => The opposite of '{x}' is '{y}'
    ? Who knows the opposite of '{x}'? => The opposite of '{x}' is '{y}'

synonym
    Give a synonym for '{x}'. => A synonym for '{x}' is '{y}'.
    What is a synonym for the word '{x}'? => A synonym for '{x}' is '{y}'.
    Find a word with the same meaning. | {x} => {y}
    Name a word that means the same as the input. | {x} => A synonym for '{x}' is '{y}'.
    ? Which word means the same as '{x}'? => A synonym for '{x}' is '{y}'
    ? Now a synonym for '{x}', please => A synonym for '{x}' is '{y}'

plural
    What is the plural of '{x}'? => The plural of '{x}' is '{y}'.
    Write the plural of the word. | {x} => {y}
    Give the plural form of '{x}'. => The plural of '{x}' is '{y}'.
    Find the plural of the noun. | {x} => The plural of '{x}' is '{y}'.
    ? One {x}, two what? => The plural of '{x}' is '{y}'
    ? Who can tell me the plural of '{x}'? => The plural of '{x}' is '{y}'

past
    What is the past tense of '{x}'? => The past tense of '{x}' is '{y}'.
    Give the past tense of the verb. | {x} => {y}
    Write the past tense of the verb '{x}'. => The past tense of '{x}' is '{y}'.
    Find the past tense of the verb. | {x} => The past tense of '{x}' is '{y}'.
    ? Today I {x}. And yesterday? => The past tense of '{x}' is '{y}'
    ? Who knows the past tense of '{x}'? => The past tense of '{x}' is '{y}'

comparative
    What is the comparative of '{x}'? => The comparative of '{x}' is '{y}'.
    What is the superlative of '{x}'? => The superlative of '{x}' is '{z}'.
    Give the comparative form of the word. | {x} => {y}
    Give the superlative form of the word. | {x} => {z}
    ? What comes after '{x}'? => The comparative of '{x}' is '{y}', and the superlative of '{x}' is '{z}'
    ? Compare with the word '{x}' => The comparative of '{x}' is '{y}', and the superlative of '{x}' is '{z}'

category
    Which category does '{x}' belong to? => The word '{x}' belongs to the category '{y}'.
    Name the category of the word. | {x} => {y}
    Sort the word into a category. | {x} => The word '{x}' belongs to the category '{y}'.
    Say to which category the word belongs. | {x} => The word '{x}' belongs to the category '{y}'.
    ? Where does '{x}' belong? => The word '{x}' belongs to the category '{y}'
    ? What kind of word is '{x}'? => The word '{x}' belongs to the category '{y}'

sound
    Which animal can {y}? => A {x} can {y}.
    What sound does a {x} make? => A {x} makes the sound '{y}'.
    Name the animal that makes this sound. | {y} => a {x}
    Name the sound of the animal. | a {x} => {y}
    ? Who makes the sound '{y}'? => A {x} makes the sound '{y}'
    ? What does a {x} say? => A {x} makes the sound '{y}'

home
    Where does a {x} live? => A {x} lives in a {y}.
    Name the home of the animal. | a {x} => {y}
    In which place can you find a {x}? => A {x} lives in a {y}.
    Say where the animal lives. | a {x} => A {x} lives in a {y}.
    ? Where is the home of the {x}? => A {x} lives in a {y}
    ? And where does the {x} sleep? => A {x} lives in a {y}

food
    What does a {x} eat? => A {x} eats {y}.
    Name the favourite food of the animal. | a {x} => {y}
    What food should you bring to a {x}? => A {x} eats {y}.
    Say what the animal eats. | a {x} => A {x} eats {y}.
    ? What do we feed a {x}? => A {x} eats {y}
    ? What does the {x} like? => A {x} eats {y}

young
    What is a young {x} called? => A young {x} is called a {y}.
    Name the young of the animal. | a {x} => {y}
    What do we call the baby of a {x}? => A young {x} is called a {y}.
    Say what the young animal is called. | a {x} => A young {x} is called a {y}.
    ? What is the child of a {x}? => A young {x} is called a {y}
    ? Tell us about the baby {x} => A young {x} is called a {y}

tool
    Which tool does a {x} use? => A {x} uses the {y}.
    Name the tool of the job. | a {x} => {y}
    Who works with the {y}? => A {x} works with the {y}.
    Say which tool this person uses. | a {x} => A {x} uses the {y}.
    ? What does a {x} need for work? => A {x} uses the {y}
    ? Who uses the {y}? => A {x} works with the {y}

workplace
    Where does a {x} work? => The workplace of a {x} is the {y}.
    Name the place where this person works. | a {x} => {y}
    In which place would you meet a {x}? => The workplace of a {x} is the {y}.
    Say where this person works. | a {x} => The workplace of a {x} is the {y}.
    ? Where do we find the {x}? => The workplace of a {x} is the {y}
    ? Tell me where a {x} spends the day => The workplace of a {x} is the {y}

colour
    What is the colour of {a}? => The colour of {a} is {y}.
    Name the colour of the thing. | {a} => {y}
    Which colour does {a} have? => The colour of {a} is {y}.
    Say which colour the thing has. | {a} => The colour of {a} is {y}.
    ? Which colour do you need to paint {a}? => The colour of {a} is {y}
    ? Close your eyes. What colour is {a}? => The colour of {a} is {y}

day
    Which day comes after {x}? => {y} comes after {x}.
    Which day comes before {x}? => {z} comes before {x}.
    Name the next day. | {x} => {y}
    Today is {x}. What day will it be tomorrow? => Tomorrow it will be {y}.
    Today is {x}. What day was it yesterday? => Yesterday it was {z}.
    Say which day comes after the day. | {x} => {y} comes after {x}.
    Say which day comes before the day. | {x} => {z} comes before {x}.
    ? What follows {x}? => {y} comes after {x}, and {z} comes before {x}
    ? Today is {x} => Tomorrow it will be {y}, and yesterday it was {z}

month
    Which month comes after {x}? => {y} comes after {x}.
    Which month comes before {x}? => {z} comes before {x}.
    Name the next month. | {x} => {y}
    Say which month comes after the month. | {x} => {y} comes after {x}.
    Say which month comes before the month. | {x} => {z} comes before {x}.
    ? What comes around {x}? => {y} comes after {x}, and {z} comes before {x}
    ? Who knows the months around {x}? => {y} comes after {x}, and {z} comes before {x}

season
    In which season is {x}? => {x} is in {y}.
    Name the season of the month. | {x} => {y}
    Which season does {x} belong to? => {x} is in {y}.
    Say in which season the month is. | {x} => {x} is in {y}.
    Find the season of {x}. => {x} is in {y}.
    ? And the season of {x}? => {x} is in {y}
    ? Which part of the year is {x}? => {x} is in {y}

sum
    What is {x} plus {y}? => {x} plus {y} is {z}.
    Add the two numbers. | {x} and {y} => {z}
    Add {x} and {y}. => {x} plus {y} is {z}.
    How much is {x} plus {y}? => {x} plus {y} is {z}.
    Find the sum. | {x} plus {y} => {x} plus {y} is {z}.
    ? How much is {x} plus {y}? => {x} plus {y} is {z}
    ? {x} plus {y}, please => {x} plus {y} is {z}

difference
    What is {x} minus {y}? => {x} minus {y} is {z}.
    Take {y} away from {x}. => {x} minus {y} is {z}.
    How much is {x} minus {y}? => {x} minus {y} is {z}.
    Find the number. | {x} minus {y} => {x} minus {y} is {z}.
    ? How much is {x} minus {y}? => {x} minus {y} is {z}
    ? {x} minus {y}, please => {x} minus {y} is {z}

even_odd
    Is {x} even or odd? => {x} is {y}.
    Is the number even or odd? | {x} => {x} is {y}.
    Decide whether the number is even or odd. | {x} => {x} is {y}.
    Say whether {x} is even or odd. => {x} is {y}.
    ? Even or odd: {x}? => {x} is {y}
    ? What about {x}, even or odd? => {x} is {y}

rhyme
    Which word rhymes with '{x}'? => The word '{x}' rhymes with '{y}'.
    Find a rhyme for the word. | {x} => {y}
    Give a word that rhymes with '{x}'. => The word '{x}' rhymes with '{y}'.
    Say which word rhymes with the word. | {x} => The word '{x}' rhymes with '{y}'.
    ? We need a rhyme for '{x}' => The word '{x}' rhymes with '{y}'
    ? Make me a rhyme with '{x}' => The word '{x}' rhymes with '{y}'

abbreviation
    What does '{x}' stand for in a text message? => The abbreviation '{x}' stands for '{y}'.
    Write the abbreviation in full. | {x} => {y}
    Explain the abbreviation '{x}'. => The abbreviation '{x}' stands for '{y}'.
    Say what the abbreviation stands for. | {x} => The abbreviation '{x}' stands for '{y}'.
    ? My phone says '{x}'. What is that? => The abbreviation '{x}' stands for '{y}'
    ? What do people mean by '{x}'? => The abbreviation '{x}' stands for '{y}'

spelling
    Correct the spelling of the word. | {x} => {y}
    How do you spell '{x}' correctly? => The right spelling of '{x}' is '{y}'.
    Fix the spelling mistake. | {x} => The right spelling of '{x}' is '{y}'.
    Write the word '{x}' correctly. => The right spelling of '{x}' is '{y}'.
    ? Somebody wrote '{x}'. What is wrong? => The right spelling of '{x}' is '{y}'
    ? Look at the board: '{x}' => The right spelling of '{x}' is '{y}'

proverb
    Complete the proverb. | {x} => {x} {y}.
    How does the proverb '{x}' end? => {x} {y}.
    Finish the old saying. | {x} ... => {x} {y}.
    Write the end of the proverb. | {x} => {x} {y}.
    ? How does the saying go on: '{x}'? => {x} {y}
    ? Who can finish this: '{x}'? => {x} {y}

bigger
    Which is bigger, a {x} or a {y}? => A {b} is bigger than a {a}.
    Compare the size of the two animals. | a {x} and a {y} => A {b} is bigger than a {a}.
    Name the smaller animal. | a {x} or a {y} => a {a}
    Say which animal is bigger. | a {x} or a {y} => A {b} is bigger than a {a}.
    ? A {x} and a {y} stand on the scales. Who is bigger? => A {b} is bigger than a {a}
    ? Compare a {x} with a {y} => A {b} is bigger than a {a}

yes_no
    Answer yes or no: {x}? => {y}
    Answer the question with yes or no. | {x}? => {y}
    Yes or no: {x}? => {y}
    Is it true or not: {x}? => {y}
    ? Yes or no: {x}? => {y}
    ? True or false? Tell me, {x}? => {y}

odd_one_out
    Which word does not belong? | {three} => The word '{odd}' does not belong, because it is not a {inside}.
    Find the odd one out. | {three} => {odd}
    Name the odd one out: {three}. => The word '{odd}' does not belong, because it is not a {inside}.
    ? Three words: {three}. Which one is odd? => The word '{odd}' does not belong, because it is not a {inside}
    ? Listen: {three}. Who is the stranger here? => The word '{odd}' does not belong, because it is not a {inside}

question
    Make a question from the sentence. | {now} => {question}
    Turn the statement into a question. | {now} => {question}
    Rewrite the sentence as a question: {now} => {question}
    ? Make a question out of this: '{now}' => {question}

negative
    Make the sentence negative. | {now} => {negative}
    Rewrite the sentence so that it is negative. | {now} => {negative}
    Add 'not' to the sentence: {now} => {negative}
    ? Say that it is not so: '{now}' => {negative}

into_past
    Rewrite the sentence in the past tense. | {now} => {then}
    Put the sentence into the past tense. | {now} => {then}
    Change the sentence to the past: {now} => {then}
    ? Yesterday, not today: '{now}' => {then}

pronoun
    Replace the name with a pronoun. | {now} => {pronoun}
    Change he to she, or she to he. | {pronoun} => {swapped}
    Use 'he' or 'she' in place of the name: {now} => {pronoun}
    ? Say it with a pronoun: '{now}' => {pronoun}
    ? Change he to she or she to he: '{pronoun}' => {swapped}

singular_plural
    Change the sentence from singular to plural. | {one} => {more}
    Change the sentence from plural to singular. | {more} => {one}
    Rewrite the sentence in the plural: {one} => {more}
    ? Now there are two of them: '{one}' => {more}
    ? Now there is only one: '{more}' => {one}

who_has
    Who has the {asked}? | {text} => {who} has the {asked}.
    Read the text and say who has the {asked}. | {text} => {who} has the {asked}.
    Answer in one word: who has the {asked}? | {text} => {who}
    ? Listen: {text} Who has the {asked}? => {who} has the {asked}

where_is
    Where is the {asked}? | {text} => The {asked} is {where}.
    Read the text and find the {asked}. | {text} => The {asked} is {where}.
    ? Listen: {text} Where is the {asked}? => The {asked} is {where}

journey
    Where is {name} now? | {text} => {name} is in the {place}.
    Where was {name} first? | {text} => {name} was in the {before} first.
    ? {text} Where is {name} now? => {name} is in the {place}
    ? {text} Where was {name} first? => {name} was in the {before} first

reverse
    Reverse the order of the two things. | the {x} and the {y} => the {y} and the {x}
    Write the two words in reverse order. | {x}, {y} => {y}, {x}
    ? Say it the other way round: '{x}, {y}' => {y}, {x}
    ? Turn it around: 'the {x} and the {y}' => the {y} and the {x}

count_words
    Count the words in the sentence. | {text} => The sentence has {count} words.
    How many words are in the sentence? | {text} => The sentence has {count} words.
    ? Count the words in '{text}' => The sentence has {count} words

letter
    What is the first letter of '{word}'? => The first letter of '{word}' is '{first}'.
    What is the last letter of '{word}'? => The last letter of '{word}' is '{last}'.
    Name the first letter of the word. | {word} => {first}
    ? Spell the word '{word}'. How does it begin? => The first letter of '{word}' is '{first}'
    ? How does '{word}' end? => The last letter of '{word}' is '{last}'

alphabetical
    Sort the words in alphabetical order. | {three} => {sorted}
    Put the three words in alphabetical order. | {three} => {sorted}
    ? In alphabetical order, please: {three} => {sorted}

by_size
    Sort the animals from the smallest to the biggest. | {three} => {ordered}
    Order the animals by size, the smallest first: {three}. => {ordered}
    ? From the smallest to the biggest: {three} => {ordered}

longest_word
    Which word is the longest? | {three} => The longest word is '{longest}'.
    Which word is the shortest? | {three} => The shortest word is '{shortest}'.
    Find the longest word. | {three} => {longest}
    ? Which is the longest: {three}? => The longest word is '{longest}'
    ? Which is the shortest: {three}? => The shortest word is '{shortest}'

sentiment
    Is the sentence happy or sad? | {text} => The sentence is {mood}.
    Name the feeling of the sentence. | {text} => {mood}
    How does {name} feel? | {text} => {name} feels {mood}.
    ? '{text}' Is that happy or sad? => The sentence is {mood}
    ? '{text}' How does {name} feel? => {name} feels {mood}

text_or_story
    Is this a text message or a story? | {text} => This is a {kind}.
    Decide whether the input is a text message or a story. | {text} => {kind}
    ? Somebody wrote '{text}' Is it a text message or a story? => This is a {kind}
"""


def phrasings(text: str = TEXT) -> dict[str, dict[str, list]]:
    """{kind: {"written": [(instruction, input, output)], "spoken": [(question, answer)]}}"""
    kinds: dict[str, dict[str, list]] = {}
    for line in text.strip().splitlines():
        if not line.strip():
            continue
        if not line.startswith(" "):
            kind = kinds.setdefault(line.strip(), {"written": [], "spoken": []})
            continue
        question, answer = line.strip().split(" => ")
        if question.startswith("? "):
            kind["spoken"].append((question[2:], answer))
        else:
            instruction, _, given = question.partition(" | ")
            kind["written"].append((instruction, given, answer))
    return kinds


PHRASINGS = phrasings()
