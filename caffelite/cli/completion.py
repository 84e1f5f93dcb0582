"""Print a script that lets a shell complete commands, flags and their values.

    caffelite completion bash > ~/.local/share/bash-completion/completions/caffelite
    caffelite completion zsh > ~/.zfunc/_caffelite        (a folder in fpath)
    caffelite completion fish > ~/.config/fish/completions/caffelite.fish

For the shell at hand alone: source <(caffelite completion bash).
"""

import re
from dataclasses import dataclass

from . import commands, parser_of


def add_arguments(parser):
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")


def run(args):
    script = {"bash": _bash, "zsh": _zsh, "fish": _fish}[args.shell]
    print("\n".join(script([Words.of(name) for name in commands()])))
    return 0


@dataclass
class Flag:
    """A flag: its spelling with two dashes, and what may follow it."""

    name: str
    help: str
    takes_value: bool
    choices: list  # of values; none, if it is a file's name or a number


@dataclass
class Words:
    """What may stand on the command line of a command."""

    command: str
    help: str
    flags: list
    choices: list  # for what is no flag; none, if it is a file's name

    @classmethod
    def of(cls, command):
        """That which the command's parser knows."""
        module, parser = parser_of(command)
        flags, choices = [], []
        for action in parser._actions:
            values = list(action.choices or [])
            if not action.option_strings:
                choices += values
            for option in action.option_strings:
                if option.startswith("--"):
                    flags.append(Flag(option, action.help or "", action.nargs != 0, values))
        return cls(command, module.__doc__.partition("\n")[0].rstrip("."), flags, choices)


# COMP_WORDS has --flag=value as three words, and Caffe's spelling of --flag is -flag.
_BASH = """\
# bash completion for caffelite, made by: caffelite completion bash
_caffelite() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}" words="" flags=""
    if [[ $cur == "=" ]]; then cur=""
    elif [[ $prev == "=" ]]; then prev="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
    [[ $prev == -[!-]* ]] && prev="-$prev"
    if (( COMP_CWORD == 1 )); then
        words="{commands} --help --version"
    else
        case "${{COMP_WORDS[1]}}:$prev" in
{values}
        esac
        if [[ -z $words ]]; then case "${{COMP_WORDS[1]}}" in
{flags}
        esac; fi
        [[ $cur == -* ]] && words="$flags"
        [[ $cur == -[!-]* ]] && words="${{flags//--/-}}"
    fi
    COMPREPLY=( $(compgen -W "$words" -- "$cur") )
}}
complete -o default -F _caffelite caffelite"""


def _bash(every):
    values, flags = [], []
    for words in every:
        for flag in words.flags:
            case = f"            {words.command}:{flag.name})"
            if flag.choices:
                values.append(f'{case} words="{" ".join(flag.choices)}" ;;')
            elif flag.takes_value:
                values.append(f"{case} return ;;")  # readline completes names of files
        names = " ".join(flag.name for flag in words.flags)
        flags.append(
            f'            {words.command}) flags="{names}" words="{" ".join(words.choices)}" ;;'
        )
    commands = " ".join(words.command for words in every)
    yield _BASH.format(commands=commands, values="\n".join(values), flags="\n".join(flags))


def _zsh(every):
    yield "#compdef caffelite"
    yield "# zsh completion for caffelite, made by: caffelite completion zsh"
    yield "_caffelite() {"
    yield "    local -a commands=("
    for words in every:
        yield f"        {_quoted(f'{words.command}:{words.help}')}"
    yield "    )"
    yield "    if (( CURRENT == 2 )); then _describe command commands; return; fi"
    yield "    local command=$words[2]"
    yield "    shift words; (( CURRENT-- ))"
    yield "    case $command in"
    for words in every:
        specs = [_zsh_flag(flag) for flag in words.flags]
        rest = f"({' '.join(words.choices)})" if words.choices else "_files"
        yield f"    {words.command}) _arguments \\"
        yield from (f"        {_quoted(spec)} \\" for spec in specs)
        yield f"        {_quoted(f'*:argument:{rest}')} ;;"
    yield "    esac"
    yield "}"
    yield '_caffelite "$@"'


def _zsh_flag(flag):
    """--phase=[help]:value:(TRAIN TEST)"""
    text = re.sub(r"([][:\\])", r"\\\1", flag.help)
    if not flag.takes_value:
        return f"{flag.name}[{text}]"
    values = f"({' '.join(flag.choices)})" if flag.choices else "_files"
    return f"{flag.name}=[{text}]:value:{values}"


def _fish(every):
    yield "# fish completion for caffelite, made by: caffelite completion fish"
    for words in every:
        first = "complete -c caffelite -n __fish_use_subcommand -f"
        yield f"{first} -a {words.command} -d {_quoted(words.help)}"
        here = f"complete -c caffelite -n '__fish_seen_subcommand_from {words.command}'"
        for flag in words.flags:
            value = f" -x -a {_quoted(' '.join(flag.choices))}" if flag.choices else ""
            if flag.takes_value and not flag.choices:
                value = " -r -F"
            yield f"{here} -l {flag.name[2:]}{value} -d {_quoted(flag.help)}"
        if words.choices:
            yield f"{here} -f -a {_quoted(' '.join(words.choices))}"


def _quoted(text):
    """In single quotes, as all three shells read them."""
    return "'" + text.replace("'", "'\\''") + "'"
