package standin

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The one form of path that kong.yml uses: an anchored expression with an
// optional /api, and one capture of literal segments, ids and names of files. A tree of
// segments finds it faster than some fifty expressions in turn; that it finds
// the same is tested against the expressions themselves.
const (
	pathPrefix  = "~/(?:api/)?("
	pathSuffix  = ")$"
	idPattern   = "[A-Za-z0-9_-]+"
	filePattern = `[A-Za-z0-9_-]+\.[a-z0-9]+`
	catchAll    = "/"
)

var (
	literal = regexp.MustCompile(`^[a-z0-9-]+(\\\.[a-z0-9-]+)*$`)
	methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
)

// endpoint is a compiled route: its target and policy.
type endpoint struct {
	name    string
	methods []string
	policy  policy
	service *balancer // nil for a route without a service
	streams bool      // its answers last
	crowd   crowd
}

func (e *endpoint) takes(method string) bool { return slices.Contains(e.methods, method) }

// routes finds the route of a request.
type routes struct {
	root     node
	fallback *endpoint // of the prefix path "/", which any expression beats
}

// node is a position in the tree: routes that end here, and what may follow.
type node struct {
	endpoints []*endpoint
	static    map[string]*node
	id        *node
	file      *node
}

// add enters e under path. It refuses any other form of path, and a path that matches a request which an earlier one
// matches too: it would not be obvious which of them Kong chooses.
func (r *routes) add(path string, e *endpoint) error {
	if path == catchAll {
		if len(e.methods) > 0 || r.fallback != nil {
			return errors.New("the path / stands once, for all methods")
		}
		r.fallback = e
		return nil
	}
	segments, err := parsePath(path)
	if err != nil {
		return err
	}
	if len(e.methods) == 0 {
		return errors.New("needs methods")
	}
	for _, m := range e.methods {
		if !slices.Contains(methods, m) {
			return fmt.Errorf("method %s is not known here", m)
		}
		if other := r.root.overlap(m, segments); other != nil {
			return fmt.Errorf("matches what route %s matches", other.name)
		}
	}
	at := &r.root
	for _, s := range segments {
		at = at.child(s)
	}
	at.endpoints = append(at.endpoints, e)
	return nil
}

// parsePath splits a path expression into segments; idPattern stands for an id, filePattern for a file's name.
func parsePath(path string) ([]string, error) {
	inner, ok := strings.CutPrefix(path, pathPrefix)
	if ok {
		inner, ok = strings.CutSuffix(inner, pathSuffix)
	}
	if !ok {
		return nil, fmt.Errorf("path %s is neither / nor of the form %s…%s", path, pathPrefix, pathSuffix)
	}
	segments := strings.Split(inner, "/")
	for i, s := range segments {
		if s == idPattern || s == filePattern {
			continue
		}
		if !literal.MatchString(s) {
			return nil, fmt.Errorf("path %s: segment %q is neither literal nor %s nor %s", path, s, idPattern, filePattern)
		}
		segments[i] = strings.ReplaceAll(s, `\.`, ".")
	}
	if segments[0] == "api" {
		return nil, fmt.Errorf("path %s begins with api, which is optional already", path)
	}
	return segments, nil
}

func (n *node) child(segment string) *node {
	if segment == idPattern {
		if n.id == nil {
			n.id = &node{}
		}
		return n.id
	}
	if segment == filePattern {
		if n.file == nil {
			n.file = &node{}
		}
		return n.file
	}
	if n.static == nil {
		n.static = map[string]*node{}
	}
	if n.static[segment] == nil {
		n.static[segment] = &node{}
	}
	return n.static[segment]
}

// overlap returns an endpoint below n that takes method and some path that segments
// take as well.
func (n *node) overlap(method string, segments []string) *endpoint {
	if len(segments) == 0 {
		return n.endpoint(method)
	}
	if n.id != nil && (segments[0] == idPattern || isID(segments[0])) {
		if e := n.id.overlap(method, segments[1:]); e != nil {
			return e
		}
	}
	if n.file != nil && (segments[0] == filePattern || isFile(segments[0])) {
		if e := n.file.overlap(method, segments[1:]); e != nil {
			return e
		}
	}
	for name, child := range n.static {
		if name == segments[0] || segments[0] == idPattern && isID(name) || segments[0] == filePattern && isFile(name) {
			if e := child.overlap(method, segments[1:]); e != nil {
				return e
			}
		}
	}
	return nil
}

func (n *node) endpoint(method string) *endpoint {
	for _, e := range n.endpoints {
		if e.takes(method) {
			return e
		}
	}
	return nil
}

// find returns the route of a normalized path and the path that its service gets. The route is nil only if the file has
// no catch-all.
func (r *routes) find(method, path string) (*endpoint, string) {
	rest := path
	if after, ok := strings.CutPrefix(path, "/api"); ok && strings.HasPrefix(after, "/") { // not /apiary
		rest = after
	}
	if rest != "" && rest[0] == '/' {
		if e := r.root.find(method, rest[1:]); e != nil {
			return e, rest
		}
	}
	return r.fallback, path
}

func (n *node) find(method, path string) *endpoint {
	segment, rest, more := strings.Cut(path, "/")
	for _, next := range [2]*node{n.static[segment], n.pattern(segment)} {
		if next == nil {
			continue
		}
		var e *endpoint
		if more {
			e = next.find(method, rest)
		} else {
			e = next.endpoint(method)
		}
		if e != nil {
			return e
		}
	}
	return nil
}

// pattern returns the child whose pattern matches segment, if there is one.
func (n *node) pattern(segment string) *node {
	switch {
	case n.id != nil && isID(segment):
		return n.id
	case n.file != nil && isFile(segment):
		return n.file
	}
	return nil
}

// isID reports whether s matches idPattern.
func isID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

// isFile reports whether s matches filePattern.
func isFile(s string) bool {
	name, extension, found := strings.Cut(s, ".")
	if !found || !isID(name) || extension == "" {
		return false
	}
	for i := range len(extension) {
		if c := extension[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
