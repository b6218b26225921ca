package main

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"waymark.dev/waymark/verdict"
)

// A request on the command line is a URL, with or without a method before it, or a curl command.

// requestText reads 'GET https://shop.example.com/api', 'https://shop.example.com/api', or a whole curl command.
func requestText(text string, headers []string) (verdict.Request, error) {
	words, err := shellWords(text)
	if err != nil {
		return verdict.Request{}, err
	}
	if len(words) > 0 && isCurl(words[0]) {
		if len(headers) > 0 {
			return verdict.Request{}, usageError("-H %q: give the headers of a curl command in the command", headers[0])
		}
		return curlRequest(words[1:])
	}
	method, address := "", text
	if before, after, ok := strings.Cut(strings.TrimSpace(text), " "); ok {
		method, address = before, strings.TrimSpace(after)
	}
	if strings.ContainsAny(address, " \t\n") {
		return verdict.Request{}, usageError("the request %q is neither URL, METHOD URL, nor a curl command", text)
	}
	r, _, err := requestOf(method, address)
	if err != nil {
		return r, err
	}
	for _, line := range headers {
		name, value, err := headerLine(line)
		if err != nil {
			return r, err
		}
		if strings.EqualFold(name, "host") {
			r.Authority = value
			continue
		}
		addHeader(&r, name, value)
	}
	return r, nil
}

// shellWords splits a curl command as a shell does, and leaves any other text in one piece. Variables and substitutions
// are errors: what they stand for is not known here.
func shellWords(text string) ([]string, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	if !isCurl(first) {
		return []string{text}, nil
	}
	var words []*syntax.Word
	var err error
	for w, broken := range syntax.NewParser().WordsSeq(strings.NewReader(text)) {
		if err = broken; err != nil {
			break
		}
		words = append(words, w)
	}
	for _, w := range words {
		syntax.Walk(w, func(n syntax.Node) bool {
			switch n.(type) {
			case *syntax.ParamExp, *syntax.CmdSubst, *syntax.ArithmExp, *syntax.ProcSubst:
				if err == nil {
					err = fmt.Errorf("the value of %q is not known here", text[n.Pos().Offset():n.End().Offset()])
				}
			}
			return err == nil
		})
	}
	var fields []string
	if err == nil {
		fields, err = expand.Fields(nil, words...)
	}
	if err != nil {
		return nil, usageError("the curl command cannot be read: %w", err)
	}
	return fields, nil
}

func isCurl(word string) bool {
	name := strings.TrimSuffix(path.Base(strings.ReplaceAll(word, `\`, "/")), ".exe")
	return name == "curl"
}

// requestOf is the request for a URL. The scheme says whether the connection has TLS, with the host as server name; an
// explicit port is that of the listener.
func requestOf(method, address string) (verdict.Request, *url.URL, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return verdict.Request{}, nil, usageError("%w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return verdict.Request{}, nil, usageError("the address %q is not http://HOST or https://HOST", address)
	}
	r := verdict.Request{Method: method, Authority: u.Host, Path: target(address)}
	if u.Scheme == "https" {
		r.TLS = true
		if net.ParseIP(u.Hostname()) == nil { // an address is not sent as server name
			r.SNI = u.Hostname()
		}
	}
	if text := u.Port(); text != "" {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return r, nil, usageError("the port %q of %s is not between 1 and 65535", text, address)
		}
		r.GatewayPort = uint32(port)
		if u.Scheme == "http" && port == 80 || u.Scheme == "https" && port == 443 {
			r.Authority = strings.TrimSuffix(u.Host, ":"+text) // clients leave the port of the scheme out
		}
	}
	if u.User != nil {
		password, _ := u.User.Password()
		addHeader(&r, "authorization", basic(u.User.Username()+":"+password))
	}
	return r, u, nil
}

// target is the path and query of an address, as they are written.
func target(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	rest, _, _ = strings.Cut(rest, "#")
	at := strings.IndexAny(rest, "/?")
	switch {
	case at < 0:
		return "/"
	case rest[at] == '?':
		return "/" + rest[at:]
	default:
		return rest[at:]
	}
}

func basic(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

func addHeader(r *verdict.Request, name, value string) {
	if r.Headers == nil {
		r.Headers = map[string]verdict.Values{}
	}
	name = strings.ToLower(name)
	r.Headers[name] = append(r.Headers[name], value)
}

// headerLine reads "name: value".
func headerLine(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, ":")
	if name = strings.TrimSpace(name); !ok || name == "" {
		return "", "", usageError("-H %q is not NAME: VALUE", line)
	}
	return name, strings.TrimSpace(value), nil
}

// curlFlags are the options of curl that change what the proxy sees.
type curlFlags struct {
	set                                             *pflag.FlagSet
	method, agent, referer, user, bearer, byteRange string
	headers, data, encoded, json, form, cookies     []string
	addresses, resolve, connectTo                   []string
	upload                                          string
	head, get, http2, http2Direct, compressed       bool
}

// ignoredBools and ignoredValues are options that do not change what the proxy sees, with their letters.
var (
	ignoredBools = map[string]string{
		"silent": "s", "show-error": "S", "insecure": "k", "verbose": "v", "location": "L", "fail": "f", "globoff": "g", "include": "i",
		"no-buffer": "N", "ipv4": "4", "ipv6": "6", "progress-bar": "#", "remote-name": "O", "remote-header-name": "J", "tlsv1": "1", "http1.1": "",
		"http1.0": "0", "disable": "q", "fail-with-body": "", "no-progress-meter": "", "path-as-is": "", "location-trusted": "", "tcp-nodelay": "",
		"tlsv1.0": "", "tlsv1.1": "", "tlsv1.2": "", "tlsv1.3": "", "no-keepalive": "", "retry-all-errors": "", "retry-connrefused": "",
		"create-dirs": "", "trace-time": "", "post301": "", "post302": "", "post303": "", "no-alpn": "", "ssl-no-revoke": "",
	}
	ignoredValues = map[string]string{
		"output": "o", "write-out": "w", "max-time": "m", "cacert": "", "capath": "", "cert": "E", "key": "", "cert-type": "", "key-type": "",
		"pass": "", "dump-header": "D", "cookie-jar": "c", "connect-timeout": "", "retry": "", "retry-delay": "", "retry-max-time": "",
		"max-redirs": "", "interface": "", "limit-rate": "", "stderr": "", "trace": "", "trace-ascii": "", "ciphers": "", "noproxy": "",
		"output-dir": "", "keepalive-time": "", "max-filesize": "", "speed-limit": "Y", "speed-time": "y", "tls-max": "", "dns-servers": "",
		"unix-socket": "", "local-port": "", "expect100-timeout": "",
	}
)

func newCurlFlags() *curlFlags {
	f := &curlFlags{set: pflag.NewFlagSet("curl", pflag.ContinueOnError)}
	s := f.set
	s.Usage = func() {}
	s.SortFlags = false
	s.StringVarP(&f.method, "request", "X", "", "")
	s.StringVarP(&f.agent, "user-agent", "A", "curl/8", "")
	s.StringVarP(&f.referer, "referer", "e", "", "")
	s.StringVarP(&f.user, "user", "u", "", "")
	s.StringVar(&f.bearer, "oauth2-bearer", "", "")
	s.StringVarP(&f.byteRange, "range", "r", "", "")
	s.StringVarP(&f.upload, "upload-file", "T", "", "")
	s.StringArrayVarP(&f.headers, "header", "H", nil, "")
	s.StringArrayVarP(&f.data, "data", "d", nil, "")
	for _, name := range []string{"data-ascii", "data-raw", "data-binary"} {
		s.Var(s.Lookup("data").Value, name, "")
	}
	s.StringArrayVar(&f.encoded, "data-urlencode", nil, "")
	s.StringArrayVar(&f.json, "json", nil, "")
	s.StringArrayVarP(&f.form, "form", "F", nil, "")
	s.Var(s.Lookup("form").Value, "form-string", "")
	s.StringArrayVarP(&f.cookies, "cookie", "b", nil, "")
	s.StringArrayVar(&f.addresses, "url", nil, "")
	s.StringArrayVar(&f.resolve, "resolve", nil, "")
	s.StringArrayVar(&f.connectTo, "connect-to", nil, "")
	s.BoolVarP(&f.head, "head", "I", false, "")
	s.BoolVarP(&f.get, "get", "G", false, "")
	s.BoolVar(&f.http2, "http2", false, "")
	s.BoolVar(&f.http2Direct, "http2-prior-knowledge", false, "")
	s.BoolVar(&f.compressed, "compressed", false, "")
	for name, letter := range ignoredBools {
		s.BoolP(name, letter, false, "")
	}
	for name, letter := range ignoredValues {
		s.StringP(name, letter, "", "")
	}
	return f
}

// curlRequest is the request that a curl command sends. args are the words after the name.
func curlRequest(args []string) (verdict.Request, error) {
	f := newCurlFlags()
	if err := f.set.Parse(args); err != nil {
		return verdict.Request{}, usageError("curl: %w", err)
	}
	f.addresses = append(f.addresses, f.set.Args()...)
	if len(f.addresses) != 1 {
		return verdict.Request{}, usageError("curl: want one URL, got %d", len(f.addresses))
	}
	address := f.addresses[0]
	if f.get {
		query, err := f.query()
		if err != nil {
			return verdict.Request{}, err
		}
		address = withQuery(address, query)
	}
	r, u, err := requestOf(f.verb(), address)
	if err != nil {
		return r, err
	}
	if f.http2Direct || f.http2 && r.TLS { // without TLS, --http2 begins with HTTP/1.1
		r.Protocol = verdict.HTTP2
	}
	if err := f.setPort(&r, u); err != nil {
		return r, err
	}
	return r, f.setHeaders(&r)
}

// verb is the method that curl uses.
func (f *curlFlags) verb() string {
	switch {
	case f.method != "":
		return f.method
	case f.head:
		return http.MethodHead
	case f.get:
		return http.MethodGet
	case f.hasBody():
		return http.MethodPost
	case f.upload != "":
		return http.MethodPut
	default:
		return ""
	}
}

func (f *curlFlags) hasBody() bool {
	return len(f.data)+len(f.encoded)+len(f.json)+len(f.form) > 0
}

// query are the data of a command with --get.
func (f *curlFlags) query() (string, error) {
	parts := append([]string{}, f.data...)
	for _, d := range parts {
		if strings.HasPrefix(d, "@") {
			return "", usageError("curl: --get with --data %s: the content of a file is not known here", d)
		}
	}
	for _, d := range f.encoded {
		name, value, ok := strings.Cut(d, "=")
		if !ok {
			name, value = "", d
		}
		if strings.ContainsRune(name+value, '@') && !ok {
			return "", usageError("curl: --get with --data-urlencode %s: the content of a file is not known here", d)
		}
		encoded := strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
		if name != "" {
			encoded = name + "=" + encoded
		}
		parts = append(parts, encoded)
	}
	return strings.Join(parts, "&"), nil
}

func withQuery(address, query string) string {
	address, fragment, _ := strings.Cut(address, "#")
	_ = fragment // it is never sent
	switch {
	case query == "":
		return address
	case strings.Contains(address, "?"):
		return address + "&" + query
	default:
		return address + "?" + query
	}
}

// setPort sets the port of the listener by --connect-to HOST:PORT:TO:PORT, else by --resolve HOST:PORT:ADDRESS.
func (f *curlFlags) setPort(r *verdict.Request, u *url.URL) error {
	own := u.Port()
	if own == "" {
		own = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	set := func(option, text, port string) error {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return usageError("curl: --%s %s: the port %q is not between 1 and 65535", option, text, port)
		}
		r.GatewayPort = uint32(n)
		return nil
	}
	for _, text := range f.connectTo {
		parts := strings.Split(text, ":")
		if len(parts) < 4 {
			return usageError("curl: --connect-to %s is not HOST:PORT:HOST:PORT", text)
		}
		port := parts[len(parts)-1]
		if (parts[0] == "" || strings.EqualFold(parts[0], u.Hostname())) && (parts[1] == "" || parts[1] == own) {
			if port == "" {
				port = own
			}
			return set("connect-to", text, port)
		}
	}
	for _, text := range f.resolve {
		parts := strings.SplitN(strings.TrimLeft(text, "+"), ":", 3)
		if len(parts) < 3 {
			return usageError("curl: --resolve %s is not HOST:PORT:ADDRESS", text)
		}
		if (parts[0] == "*" || strings.EqualFold(parts[0], u.Hostname())) && parts[1] == own {
			return set("resolve", text, own)
		}
	}
	return nil
}

// setHeaders sets curl's own headers, and those of the command. A header "Name:" takes curl's own away, and "Name;" has
// an empty value.
func (f *curlFlags) setHeaders(r *verdict.Request) error {
	standard := map[string]string{"accept": "*/*", "user-agent": f.agent, "referer": f.referer}
	if f.byteRange != "" {
		standard["range"] = "bytes=" + f.byteRange
	}
	if f.compressed {
		standard["accept-encoding"] = "deflate, gzip"
	}
	if f.user != "" {
		user := f.user
		if !strings.Contains(user, ":") {
			user += ":"
		}
		standard["authorization"] = basic(user)
	}
	if f.bearer != "" {
		standard["authorization"] = "Bearer " + f.bearer
	}
	switch {
	case len(f.json) > 0:
		standard["content-type"], standard["accept"] = "application/json", "application/json"
	case len(f.form) > 0:
		standard["content-type"] = "multipart/form-data; boundary=waymark"
	case f.hasBody() && !f.get:
		standard["content-type"] = "application/x-www-form-urlencoded"
	}
	var cookies []string
	for _, c := range f.cookies {
		if !strings.Contains(c, "=") {
			return usageError("curl: --cookie %s: the content of a file is not known here", c)
		}
		cookies = append(cookies, c)
	}
	standard["cookie"] = strings.Join(cookies, "; ")
	for _, line := range f.headers {
		if strings.HasPrefix(line, "@") {
			return usageError("curl: --header %s: the content of a file is not known here", line)
		}
		name, isEmpty := strings.CutSuffix(line, ";")
		value := ""
		if !isEmpty || strings.Contains(line, ":") {
			var err error
			if name, value, err = headerLine(line); err != nil {
				return fmt.Errorf("curl: %w", err)
			}
		}
		name = strings.ToLower(name)
		delete(standard, name)
		switch {
		case name == "host":
			if value != "" {
				r.Authority = value
			}
		case value != "" || isEmpty:
			addHeader(r, name, value)
		}
	}
	for name, value := range standard {
		if value != "" {
			addHeader(r, name, value)
		}
	}
	return nil
}
