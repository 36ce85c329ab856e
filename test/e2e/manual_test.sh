#!/bin/sh
# manual_test.sh - man pages and shell completion, judged by mandoc and by the shells themselves.
# usage: manual_test.sh path/to/molt
set -eu
molt=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir bin && ln -s "$molt" bin/molt && PATH="$folder/bin:$PATH"
export LC_ALL=C.UTF-8 HOME="$folder" XDG_CONFIG_HOME="$folder/config" XDG_DATA_HOME="$folder/share"
fail() { printf 'manual_test: %s\n' "$*" >&2; exit 1; }

# ---- man pages: one for each command that `molt help` lists, and one for molt; mandoc has nothing to say ----
molt help | sed -n 's/^  \([a-z][a-z -]\{0,14\}[a-z]\)  *[a-z].*/\1/p' >commands
count=$(wc -l <commands)
[ "$count" -ge 36 ] || fail "molt help lists $count commands"
molt manual --out pages
[ "$(find pages -name '*.1' | wc -l)" = $((count + 1)) ] || fail "not a page for each command"
# the date is left out, so that the same source makes the same page
mandoc -T lint -W warning pages/*.1 >lint-all || true
grep -v 'missing date' lint-all >lint || true
[ ! -s lint ] || fail "mandoc says: $(cat lint)"
while read -r command; do
    page=pages/molt-$(echo "$command" | tr ' ' -).1
    mandoc -T utf8 "$page" | col -b >text
    grep -q "molt $command" text || fail "$page does not name its command"
    # every option of --help is in the page, spelled as it is typed
    # shellcheck disable=SC2086 # the command's two words
    molt $command --help | sed -n '/^Options:/,/^Examples:/s/^  \(--[a-z0-9-]*\).*/\1/p' >wanted
    while read -r option; do
        grep -qF -- "$option" text || fail "$page does not explain $option"
    done <wanted
    # shellcheck disable=SC2086
    molt manual $command | cmp -s - "$page" || fail "molt manual $command is not $page"
done <commands
! molt manual sing 2>err || fail "a page of a command that is none"
grep -q "no command 'sing'" err || fail "no error: $(cat err)"
! molt manual --out /dev/null 2>err || fail "/dev/null is a folder"
grep -q 'cannot write /dev/null' err || fail "no error: $(cat err)"

# ---- completion: each shell says what would be offered for a line; the last word is completed ----
mkdir a-folder && touch a-file.bin
cat >bash_offers <<'BASH'
source molt.bash
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _molt 2>/dev/null; printf '%s\n' "${COMPREPLY[@]}"
BASH
cat >fish_offers <<'FISH'
source molt.fish; complete -C "$argv" | string replace -r '\t.*' ''; true # replace fails when nothing had a description
FISH
# zsh's own helpers need a terminal; what they are handed is printed instead
cat >zsh_offers <<'ZSH'
setopt extendedglob
compdef() { :; }
_describe() { print -l -- ${${(P)2}%%:*}; }
_arguments() {
  local value=${words[CURRENT-1]} spec
  for spec; do # what may follow an option that wants a value
    [[ $value == --* && $spec == [*]#$value=\[* ]] || continue
    case $spec in
      *_files) print -l -- *(N) ;;
      *'_files -/') print -l -- *(N/) ;;
      *\)) print -l -- ${=${${spec##*\(}%\)}} ;;
    esac
    return
  done
  for spec; do # else options, or operands
    case $spec in
      [*]#--*) print -l -- ${${${spec#\*}%%\[*}%=} ;;
      \*:*_files) print -l -- *(N) ;;
      \*:*\)) print -l -- ${=${${spec##*\(}%\)}} ;;
    esac
  done
}
source ./molt.zsh
words=("$@"); CURRENT=$#; _molt
ZSH
for shell in bash zsh fish; do molt completion $shell >molt.$shell; done
for shell in bash zsh fish; do $shell -n molt.$shell || fail "$shell cannot read its script"; done
# offers LINE WORDS...: every shell offers all of these words for the line
offers() {
    line=$1
    shift
    for shell in zsh bash fish; do
        if [ $shell = fish ]; then
            fish fish_offers "$line" >offered
        else
            eval "$shell ${shell}_offers $(echo "$line" | sed "s/ $/ ''/")" >offered
        fi
        for word; do
            grep -qx -- "$word/\{0,1\}" offered || fail "$shell does not offer $word for '$line': $(cat offered)"
        done
    done
}
never() { ! grep -qx -- "$1" offered || fail "'$1' is offered"; }
offers 'molt ' serve publish device rollout help
never list
[ "$(sort offered | uniq -d | wc -l)" = 0 ] || fail "offered twice: $(sort offered | uniq -d)"
offers 'molt device ' list show set why
never serve
offers 'molt publish --' --product --version --component
never --listen
offers 'molt publish --component ' app fs
offers 'molt device set --' --product
offers 'molt publish a-' a-file.bin
offers 'molt serve --data a-' a-folder
never a-file.bin
offers 'molt completion ' bash
