package main

import (
	"encoding/json"
	"html/template"
	"iter"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// pairs iterates over a mapping in the order in which it was written.
func pairs(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

// child returns a mapping's value, nil if there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	for k, v := range pairs(n) {
		if k == key {
			return v
		}
	}
	return nil
}

func text(n *yaml.Node, key string) string {
	if c := child(n, key); c != nil {
		return c.Value
	}
	return ""
}

func values(n *yaml.Node) (all []string) {
	if n != nil {
		for _, c := range n.Content {
			all = append(all, c.Value)
		}
	}
	return all
}

// shape renders a schema in the form of its JSON, with the names of other schemas as links. An optional field has a
// question mark. Everything but the links is escaped.
func shape(n *yaml.Node, indent string) template.HTML {
	esc := func(s string) template.HTML { return template.HTML(template.HTMLEscapeString(s)) }
	if ref := text(n, "$ref"); ref != "" {
		name := esc(ref[strings.LastIndex(ref, "/")+1:])
		return `<a href="#schema-` + name + `">` + name + `</a>`
	}
	for _, several := range []string{"allOf", "oneOf"} {
		var parts []string
		if c := child(n, several); c != nil {
			for _, x := range c.Content {
				if part := shape(x, indent); part != "any" {
					parts = append(parts, string(part))
				}
			}
			return template.HTML(strings.Join(parts, map[string]string{"allOf": " & ", "oneOf": " | "}[several]))
		}
	}
	if c := child(n, "const"); c != nil {
		return esc(inJSON(c))
	}
	if c := child(n, "enum"); c != nil {
		var all []string
		for _, x := range c.Content {
			all = append(all, inJSON(x))
		}
		return esc(strings.Join(all, " | "))
	}
	if p := child(n, "properties"); p != nil {
		required := values(child(n, "required"))
		b := template.HTML("{")
		for name, s := range pairs(p) {
			b += "\n" + template.HTML(indent) + "  " + esc(name)
			if !slices.Contains(required, name) {
				b += "?"
			}
			b += ": " + shape(s, indent+"  ")
			if d := text(s, "description"); d != "" {
				b += ` <i>` + esc(d) + `</i>`
			}
		}
		return b + "\n" + template.HTML(indent) + "}"
	}
	switch t := child(n, "type"); {
	case t == nil:
		return "any"
	case t.Kind == yaml.SequenceNode:
		return esc(strings.Join(values(t), " | "))
	case t.Value == "array":
		return "[" + shape(child(n, "items"), indent) + ", …]"
	case t.Value == "object" && child(n, "additionalProperties") != nil:
		return "{name: " + shape(child(n, "additionalProperties"), indent) + ", …}"
	default:
		return esc(t.Value + limits(n))
	}
}

// limits renders the bounds of a text or number.
func limits(n *yaml.Node) string {
	least, most := text(n, "minLength")+text(n, "minimum"), text(n, "maxLength")+text(n, "maximum")
	switch {
	case least != "" && most != "":
		return " (" + least + " to " + most + ")"
	case most != "":
		return " (at most " + most + ")"
	}
	return ""
}

// errorCodes are the codes that a refusal's schema names.
func errorCodes(schema *yaml.Node) []string {
	if all := child(schema, "allOf"); all != nil {
		for _, part := range all.Content {
			if code := child(child(part, "properties"), "error_code"); code != nil {
				return values(child(code, "enum"))
			}
		}
	}
	return nil
}

// inJSON writes a value as JSON, its keys in the order they were written in.
func inJSON(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		var parts []string
		for k, v := range pairs(n) {
			key, _ := json.Marshal(k)
			parts = append(parts, string(key)+":"+inJSON(v))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case yaml.SequenceNode:
		var parts []string
		for _, v := range n.Content {
			parts = append(parts, inJSON(v))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	var v any
	_ = n.Decode(&v) // a scalar decodes into any
	out, _ := json.Marshal(v)
	return string(out)
}
