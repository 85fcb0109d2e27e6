package standin

import "strings"

// split splits a request's target into its path as it was spelled and its query.
func split(target string) (path, query string) {
	if !strings.HasPrefix(target, "/") { // of the absolute form (RFC 9112, 3.2.2)
		if _, rest, ok := strings.Cut(target, "://"); ok {
			_, path, _ := strings.Cut(rest, "/")
			target = "/" + path
		}
	}
	path, query, _ = strings.Cut(target, "?")
	return path, query
}

// normalize brings a request's path into the one spelling that routes are
// matched against, as Kong 3.6 does (kong.tools.uri.normalize with slashes
// merged): percent-encoded bytes are decoded unless reserved, "." and ".."
// segments are resolved, and repeated slashes become one. The result of a path
// that begins with a slash begins with one, and normalize of it is the same
// again, unless an encoding is malformed: nginx refuses those before, and here
// no route matches a percent sign.
func normalize(path string) string {
	if strings.IndexByte(path, '%') >= 0 {
		path = decodeUnreserved(path)
	}
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") && !strings.HasPrefix(path, ".") {
		return path // nearly every request
	}
	var kept []string
	trailing := strings.HasSuffix(path, "/")
	segments := strings.Split(path, "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case "":
		case ".":
			trailing = trailing || last
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
			trailing = trailing || last
		default:
			kept = append(kept, s)
		}
	}
	out := "/" + strings.Join(kept, "/")
	if trailing && len(kept) > 0 {
		out += "/"
	}
	return out
}

// reserved are the characters whose encoded and plain forms differ in meaning
// (RFC 3986), so that %2F never becomes a slash.
const reserved = "!*'();:@&=+$,/?%#[]"

func decodeUnreserved(path string) string {
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			out.WriteByte(path[i])
			continue
		}
		high, low := unhex(path[i+1]), unhex(path[i+2])
		if high < 0 || low < 0 {
			out.WriteByte('%')
			continue
		}
		if c := byte(high<<4 | low); strings.IndexByte(reserved, c) < 0 {
			out.WriteByte(c)
		} else {
			out.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return out.String()
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
