"""The programs of doc/recipes.md: blocks of code whose first line is a comment that begins with the file's name."""
import os
import re

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../doc/recipes.md")


def programs(output=None):
    """{name: text} of every program; with `output` = "output of NAME", the block without a language behind that program."""
    found, last = {}, None
    with open(PAGE, encoding="utf-8") as file:
        for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", file.read(), re.M | re.S):
            if language:
                last = re.match(r"(?:#|--|//) (\w+\.\w+)", text).group(1)
                found[last] = text
            elif output is not None:
                found[f"output of {last}"] = text
    return found
