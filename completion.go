package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionScript writes what a shell needs to complete commands, flags and
// the values of flags that have a list of them. It is made from the command
// line's own description, so that it cannot fall behind.
func completionScript(root *kong.Node, shell string) string {
	var nodes []completed
	gather(root, nil, nil, &nodes)
	switch shell {
	case "bash":
		return bashCompletion(nodes)
	case "zsh":
		return zshCompletion(nodes)
	default:
		return fishCompletion(nodes)
	}
}

// completed is one command with what may follow it.
type completed struct {
	path     []string // the commands on the way, without the program
	commands []*kong.Node
	flags    []*kong.Flag
	files    bool // takes a file as argument
	words    []string
}

func (c *completed) key() string { return strings.Join(c.path, " ") }

func gather(node *kong.Node, path []string, outer []*kong.Flag, into *[]completed) {
	c := completed{path: path, flags: append(slices.Clip(outer), node.Flags...)}
	for _, child := range node.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			c.commands = append(c.commands, child)
		}
	}
	for _, p := range node.Positional {
		c.files = c.files || p.Name == "file"
		c.words = append(c.words, p.EnumSlice()...)
	}
	c.words = slices.DeleteFunc(c.words, func(s string) bool { return s == "" })
	c.flags = slices.DeleteFunc(c.flags, func(f *kong.Flag) bool { return f.Hidden })
	slices.SortFunc(c.flags, func(a, b *kong.Flag) int { return cmp.Compare(a.Name, b.Name) })
	*into = append(*into, c)
	for _, child := range c.commands {
		gather(child, append(slices.Clip(path), child.Name), c.flags, into)
	}
}

// valuesOf lists the values that a flag may have, if there is a list.
func valuesOf(f *kong.Flag) []string {
	if f.Enum == "" {
		return nil
	}
	return f.EnumSlice()
}

func takesFile(f *kong.Flag) bool {
	return f.PlaceHolder == "FILE"
}

func bashCompletion(nodes []completed) string {
	var b strings.Builder
	b.WriteString(`# bash completion for milepost: source <(milepost completion bash)
_milepost() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev= path= word i
  [ "$COMP_CWORD" -gt 0 ] && prev=${COMP_WORDS[COMP_CWORD-1]}
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case "$path $word" in
`)
	var paths []string
	for _, n := range nodes {
		if len(n.path) > 0 {
			paths = append(paths, fmt.Sprintf("%q", strings.Repeat(" ", boolInt(len(n.path) == 1))+n.key()))
		}
	}
	fmt.Fprintf(&b, "      %s) path=${path:+$path }$word ;;\n    esac\n  done\n", strings.Join(paths, "|"))
	b.WriteString("  case \"$prev\" in\n")
	seen := map[string]bool{}
	for _, n := range nodes {
		for _, f := range n.flags {
			if seen[f.Name] {
				continue
			}
			seen[f.Name] = true
			switch v := valuesOf(f); {
			case len(v) > 0:
				fmt.Fprintf(&b, "    --%s) COMPREPLY=($(compgen -W %q -- \"$cur\")); return ;;\n", f.Name, strings.Join(v, " "))
			case takesFile(f):
				fmt.Fprintf(&b, "    --%s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", f.Name)
			}
		}
	}
	b.WriteString("  esac\n  local words= files=\n  case \"$path\" in\n")
	for _, n := range nodes {
		var words []string
		for _, c := range n.commands {
			words = append(words, c.Name)
		}
		words = append(words, n.words...)
		for _, f := range n.flags {
			words = append(words, "--"+f.Name)
		}
		files := ""
		if n.files {
			files = "; files=1"
		}
		fmt.Fprintf(&b, "    %q) words=%q%s ;;\n", n.key(), strings.Join(words, " "), files)
	}
	b.WriteString(`  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [ -n "$files" ] && [[ $cur != -* ]]; then
    COMPREPLY+=($(compgen -f -- "$cur"))
  fi
}
complete -o filenames -F _milepost milepost
`)
	return b.String()
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// zshQuote makes a text safe inside the single quotes and brackets of an
// _arguments specification.
func zshQuote(s string) string {
	return strings.NewReplacer(`'`, `'\''`, `[`, `\[`, `]`, `\]`, `:`, `\:`).Replace(s)
}

func zshCompletion(nodes []completed) string {
	var b strings.Builder
	b.WriteString("#compdef milepost\n# zsh completion for milepost\n\n")
	for _, n := range nodes {
		fmt.Fprintf(&b, "_milepost%s() {\n  local context state line\n  typeset -A opt_args\n  _arguments -C \\\n", zshName(n.path))
		for _, f := range n.flags {
			help := firstSentence(f.Help)
			switch v := valuesOf(f); {
			case f.IsBool():
				fmt.Fprintf(&b, "    '--%s[%s]' \\\n", f.Name, zshQuote(help))
			case len(v) > 0:
				fmt.Fprintf(&b, "    '--%s=[%s]:value:(%s)' \\\n", f.Name, zshQuote(help), strings.Join(v, " "))
			case takesFile(f):
				fmt.Fprintf(&b, "    '--%s=[%s]:file:_files' \\\n", f.Name, zshQuote(help))
			default:
				fmt.Fprintf(&b, "    '--%s=[%s]:value: ' \\\n", f.Name, zshQuote(help))
			}
		}
		switch {
		case len(n.commands) > 0:
			b.WriteString("    '1: :->command' \\\n    '*:: :->arguments'\n  case $state in\n    command)\n      local -a commands=(\n")
			for _, c := range n.commands {
				fmt.Fprintf(&b, "        '%s:%s'\n", c.Name, zshQuote(firstSentence(c.Help)))
			}
			b.WriteString("      )\n      _describe command commands ;;\n    arguments)\n      case $words[1] in\n")
			for _, c := range n.commands {
				fmt.Fprintf(&b, "        %s) _milepost%s ;;\n", c.Name, zshName(append(slices.Clip(n.path), c.Name)))
			}
			b.WriteString("      esac ;;\n  esac\n")
		case n.files:
			b.WriteString("    '*:file:_files'\n")
		case len(n.words) > 0:
			fmt.Fprintf(&b, "    '1:value:(%s)'\n", strings.Join(n.words, " "))
		default:
			b.WriteString("    '*: :'\n")
		}
		b.WriteString("}\n\n")
	}
	b.WriteString("_milepost \"$@\"\n")
	return b.String()
}

func zshName(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return "_" + strings.Join(path, "_")
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func fishCompletion(nodes []completed) string {
	var b strings.Builder
	b.WriteString(`# fish completion for milepost
function __milepost_at
  set -l typed (commandline -opc)
  set -l path
  for word in $typed[2..-1]
    string match -q -- '-*' $word; or set -a path $word
  end
  set -l wanted $argv
  test (count $path) -ge (count $wanted); or return 1
  for i in (seq (count $wanted))
    test "$path[$i]" = "$wanted[$i]"; or return 1
  end
end
function __milepost_exactly
  set -l typed (commandline -opc)
  set -l path
  for word in $typed[2..-1]
    string match -q -- '-*' $word; or set -a path $word
  end
  test "$path" = "$argv"
end
complete -c milepost -f
`)
	for _, n := range nodes {
		for _, c := range n.commands {
			fmt.Fprintf(&b, "complete -c milepost -n %s -a %s -d %s\n", fishQuote(strings.TrimSpace("__milepost_exactly "+n.key())), c.Name, fishQuote(firstSentence(c.Help)))
		}
		if len(n.commands) > 0 {
			continue // flags are given to the verbs themselves
		}
		at := fishQuote("__milepost_at " + n.key())
		if n.files {
			fmt.Fprintf(&b, "complete -c milepost -n %s -F\n", at)
		}
		for _, w := range n.words {
			fmt.Fprintf(&b, "complete -c milepost -n %s -a %s\n", at, w)
		}
		for _, f := range n.flags {
			extra := ""
			switch v := valuesOf(f); {
			case f.IsBool():
			case len(v) > 0:
				extra = " -x -a " + fishQuote(strings.Join(v, " "))
			case takesFile(f):
				extra = " -r -F"
			default:
				extra = " -x"
			}
			fmt.Fprintf(&b, "complete -c milepost -n %s -l %s -d %s%s\n", at, f.Name, fishQuote(firstSentence(f.Help)), extra)
		}
	}
	return b.String()
}

// firstSentence is enough for a list.
func firstSentence(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if i := strings.IndexAny(s, ".;"); i > 0 && (i+1 == len(s) || s[i+1] == ' ') {
		s = s[:i]
	}
	return s
}
