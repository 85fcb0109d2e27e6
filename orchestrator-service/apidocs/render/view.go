package main

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// document is the part of the description that the page shows. Nodes keep the order in which they were written.
type document struct {
	Info struct {
		Title, Summary, Description string
		Tour                        string `yaml:"x-tour"`
	}
	Tags       []struct{ Name, Description string }
	Paths      yaml.Node
	Components struct {
		Schemas   yaml.Node
		Responses map[string]response
	}
}

type response struct {
	Ref         string `yaml:"$ref"`
	Description string
	Content     map[string]struct{ Schema, Example yaml.Node }
}

type operation struct {
	Tags                 []string
	ID                   string `yaml:"operationId"`
	Summary, Description string
	Security             []map[string]any
	Role                 string `yaml:"x-role"`
	Parameters           []struct {
		Name, In, Description, Example string
		Required                       bool
		Schema                         yaml.Node
	}
	RequestBody struct {
		Content map[string]struct{ Schema, Example yaml.Node }
	} `yaml:"requestBody"`
	Responses yaml.Node
}

type word struct {
	Text string
	Code bool
}

// words splits a line of a Markdown list: text between backquotes is code.
func words(line string) (all []word) {
	line, item := strings.CutPrefix(line, "- ")
	if !item {
		return nil
	}
	for i, part := range strings.Split(line, "`") {
		all = append(all, word{part, i%2 == 1})
	}
	return all
}

// Data of the template.
type (
	docsView struct {
		Title, Summary, Tour string
		Intro                []string
		Groups               []docsGroup
		Schemas              []docsSchema
		Script               template.JS
	}
	docsGroup struct {
		Name, Description string
		Operations        []docsOperation
	}
	docsOperation struct {
		Method, Path, ID, Summary, Description, Who, Curl string
		Parameters                                        []docsParameter
		Body                                              template.HTML
		Answers                                           []docsAnswer
	}
	docsParameter struct {
		Name, In, Description string
		Required              bool
		Schema                template.HTML
	}
	docsAnswer struct {
		Status, Description string
		Good                bool
		Codes               []string
		Schema              template.HTML
	}
	docsSchema struct {
		Name, Description string
		Shape             template.HTML
	}
)

func (d *document) view() (docsView, error) {
	v := docsView{Title: d.Info.Title, Summary: d.Info.Summary, Tour: d.Info.Tour, Intro: strings.Split(strings.TrimSpace(d.Info.Description), "\n")}
	for _, t := range d.Tags {
		v.Groups = append(v.Groups, docsGroup{Name: t.Name, Description: t.Description})
	}
	for path, methods := range pairs(&d.Paths) {
		for method, node := range pairs(methods) {
			var op operation
			if err := node.Decode(&op); err != nil {
				return v, fmt.Errorf("%s %s: %w", method, path, err)
			}
			g := slices.IndexFunc(v.Groups, func(g docsGroup) bool { return slices.Contains(op.Tags, g.Name) })
			if g < 0 {
				return v, fmt.Errorf("%s %s has no tag that is described", method, path)
			}
			x, err := d.viewOperation(strings.ToUpper(method), path, op)
			if err != nil {
				return v, fmt.Errorf("%s %s: %w", method, path, err)
			}
			v.Groups[g].Operations = append(v.Groups[g].Operations, x)
		}
	}
	for name, s := range pairs(&d.Components.Schemas) {
		v.Schemas = append(v.Schemas, docsSchema{name, text(s, "description"), shape(s, "")})
	}
	return v, nil
}

func (d *document) viewOperation(method, path string, op operation) (docsOperation, error) {
	x := docsOperation{Method: method, Path: path, ID: op.ID, Summary: op.Summary, Description: op.Description, Who: whoMay(op), Curl: curl(method, path, op)}
	for _, p := range op.Parameters {
		x.Parameters = append(x.Parameters, docsParameter{p.Name, p.In, p.Description, p.Required, shape(&p.Schema, "")})
	}
	if body, ok := op.RequestBody.Content["application/json"]; ok {
		x.Body = shape(&body.Schema, "")
	}
	for status, node := range pairs(&op.Responses) {
		var r response
		if err := node.Decode(&r); err != nil {
			return x, err
		}
		if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
			r = d.Components.Responses[name]
		}
		a := docsAnswer{Status: status, Description: r.Description, Good: status < "400"}
		if body, ok := r.Content["application/json"]; ok && a.Good {
			a.Schema = shape(&body.Schema, "")
		} else if ok {
			a.Codes = errorCodes(&body.Schema)
		}
		x.Answers = append(x.Answers, a)
	}
	return x, nil
}

func whoMay(op operation) string {
	switch {
	case len(op.Security) == 0:
		return "anyone"
	case op.Role != "":
		return op.Role
	case op.Security[0]["refreshToken"] != nil:
		return "refresh token"
	}
	return "logged in"
}

// curl is the operation's example as a command. It takes the gateway's address and the token from the shell.
func curl(method, path string, op operation) string {
	c := "curl -sS"
	if method != http.MethodGet {
		c += " -X " + method
	}
	var query []string
	for _, p := range op.Parameters {
		switch p.In {
		case "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", p.Example)
		case "query":
			if p.Example != "" {
				query = append(query, p.Name+"="+p.Example)
			}
		case "header":
			if p.Required {
				c += fmt.Sprintf(" -H '%s: %s'", p.Name, p.Example)
			}
		}
	}
	c += " $GATEWAY/api" + path
	if len(query) > 0 {
		c += "?" + strings.Join(query, "&")
	}
	switch {
	case len(op.Security) == 0:
	case op.Security[0]["refreshToken"] != nil:
		c += ` -H "Authorization: Bearer $REFRESH"`
	default:
		c += ` -H "Authorization: Bearer $TOKEN"`
	}
	if body, ok := op.RequestBody.Content["application/json"]; ok {
		c += " -H 'Content-Type: application/json' -d '" + strings.ReplaceAll(inJSON(&body.Example), "'", `'\''`) + "'"
	}
	return c
}
