package validate

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/istio/names"
)

// cors covers VAL-H-15 to VAL-H-18.
func (v *validator) cors(field string, c *istio.CorsPolicy) {
	for i, o := range c.GetAllowOrigins() {
		at := field + ".allowOrigins[" + strconv.Itoa(i) + "]"
		if o.GetExact()+o.GetPrefix()+o.GetRegex() == "" {
			v.refuse("VAL-H-15", at, "an origin is exact, prefix or regex, and not empty")
			continue
		}
		v.stringMatch("VAL-H-15", at, o)
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"}
	for i, m := range c.GetAllowMethods() {
		if !slices.Contains(methods, m) {
			v.refuse("VAL-H-16", field+".allowMethods["+strconv.Itoa(i)+"]", "%q is not a known method", m)
		}
	}
	for name, list := range map[string][]string{"allowHeaders": c.GetAllowHeaders(), "exposeHeaders": c.GetExposeHeaders()} {
		for i, h := range list {
			if h != "*" && !names.IsToken(h) {
				v.refuse("VAL-H-17", field+"."+name+"["+strconv.Itoa(i)+"]", "%q is not a valid header name", h)
			}
		}
	}
	if d := c.GetMaxAge(); d != nil {
		v.duration("VAL-H-18", field+".maxAge", d)
		if d.Nanos > 0 {
			v.refuse("VAL-H-18", field+".maxAge", "%s is not a whole number of seconds", d.AsDuration())
		}
	}
}

// percent checks a percentage of a fault, VAL-H-20: 0, or 0.0001 to 100.
func (v *validator) percent(code, field string, p *istio.Percent) {
	if x := p.GetValue(); p != nil && (x < 0 || x > 100 || x > 0 && x < 0.0001) {
		v.refuse(code, field, "%v is not 0, and not between 0.0001 and 100", x)
	}
}

// fault covers VAL-H-19 to VAL-H-24.
func (v *validator) fault(field string, f *istio.HTTPFaultInjection) {
	if f == nil {
		return
	}
	if f.Delay == nil && f.Abort == nil {
		v.refuse("VAL-H-19", field, "a fault has a delay or an abort")
	}
	v.percent("VAL-H-20", field+".delay.percentage", f.GetDelay().GetPercentage())
	v.percent("VAL-H-20", field+".abort.percentage", f.GetAbort().GetPercentage())
	if f.Abort != nil {
		switch a := f.Abort.ErrorType.(type) {
		case nil:
			v.warn("VAL-H-23", field+".abort", "there is neither httpStatus nor grpcStatus; nothing is aborted")
		case *istio.HTTPFaultInjection_Abort_Http2Error:
			v.refuse("VAL-H-21", field+".abort.http2Error", "is not supported")
		case *istio.HTTPFaultInjection_Abort_HttpStatus:
			if a.HttpStatus < 200 || a.HttpStatus > 600 {
				v.refuse("VAL-H-22", field+".abort.httpStatus", "%d is not between 200 and 600", a.HttpStatus)
			}
		case *istio.HTTPFaultInjection_Abort_GrpcStatus:
			if _, ok := names.GRPCStatus[a.GrpcStatus]; !ok {
				v.refuse("VAL-H-22", field+".abort.grpcStatus", "%q is not a gRPC status", a.GrpcStatus)
			}
		}
	}
	if f.Delay != nil {
		switch d := f.Delay.HttpDelayType.(type) {
		case *istio.HTTPFaultInjection_Delay_FixedDelay:
			v.duration("VAL-H-24", field+".delay.fixedDelay", d.FixedDelay)
		case *istio.HTTPFaultInjection_Delay_ExponentialDelay:
			v.refuse("VAL-H-24", field+".delay.exponentialDelay", "is not supported; use fixedDelay")
		}
	}
}

// mirrors covers VAL-H-25 to VAL-H-27.
func (v *validator) mirrors(field string, h *istio.HTTPRoute) {
	if old := h.MirrorPercent; old != nil { //nolint:staticcheck // deprecated, and still in force
		if old.GetValue() > 100 {
			v.refuse("VAL-H-25", field+".mirrorPercent", "%d is more than 100", old.GetValue())
		}
		v.warn("VAL-H-25", field+".mirrorPercent", "is deprecated; use mirrorPercentage")
	}
	percentage := func(code, field string, p *istio.Percent) {
		if p != nil && (p.Value < 0 || p.Value > 100) {
			v.refuse(code, field, "%v is not between 0 and 100", p.Value)
		}
	}
	percentage("VAL-H-26", field+".mirrorPercentage", h.MirrorPercentage)
	v.destination("VAL-H-27", field+".mirror", h.Mirror)
	for i, m := range h.Mirrors {
		at := field + ".mirrors[" + strconv.Itoa(i) + "]"
		if m.Destination == nil {
			v.refuse("VAL-H-27", at, "a mirror has a destination")
			continue
		}
		v.destination("VAL-H-27", at+".destination", m.Destination)
		percentage("VAL-H-27", at+".percentage", m.Percentage)
	}
}

// redirect covers VAL-H-28 to VAL-H-30.
func (v *validator) redirect(field string, h *istio.HTTPRoute) {
	r := h.Redirect
	if r == nil {
		return
	}
	if r.Uri != "" && r.PrefixRewrite != "" {
		v.refuse("VAL-H-28", field, "uri and prefixRewrite cannot be used together")
	}
	if r.PrefixRewrite != "" {
		for i, m := range h.Match {
			if _, isPrefix := m.GetUri().GetMatchType().(*istio.StringMatch_Prefix); m.GetUri() != nil && !isPrefix {
				v.refuse("VAL-H-28", field+".prefixRewrite", "match[%d].uri is not a prefix", i)
			}
		}
	}
	if r.Uri == "" && r.PrefixRewrite == "" && r.Authority == "" && r.RedirectPort == nil && r.Scheme == "" {
		v.refuse("VAL-H-29", field, "a redirect changes uri, authority, port or scheme")
	}
	v.writableIf(field+".uri", r.Uri, effect.HeaderValue)
	v.writableIf(field+".prefixRewrite", r.PrefixRewrite, effect.HeaderValue)
	v.writableIf(field+".authority", r.Authority, effect.HeaderValue)
	if r.RedirectCode != 0 && (r.RedirectCode < 300 || r.RedirectCode > 399) {
		v.refuse("VAL-H-30", field+".redirectCode", "%d is not a redirect status", r.RedirectCode)
	}
	if r.Scheme != "" && r.Scheme != "http" && r.Scheme != "https" {
		v.refuse("VAL-H-30", field+".scheme", "%q is neither http nor https", r.Scheme)
	}
	if r.GetPort() > 65535 {
		v.refuse("VAL-H-30", field+".port", "%d is not a valid port", r.GetPort())
	}
}

// directResponse covers VAL-H-31.
func (v *validator) directResponse(field string, d *istio.HTTPDirectResponse) {
	if d == nil {
		return
	}
	if size := len(d.GetBody().GetString_()) + len(d.GetBody().GetBytes()); size > 1<<20 {
		v.refuse("VAL-H-31", field+".body", "has %d bytes, at most 1 MiB is allowed", size)
	} else if size > 100<<10 {
		v.warn("VAL-H-31", field+".body", "has %d bytes; more than 100 KiB burden the configuration", size)
	}
	if d.Status < 200 || d.Status > 600 {
		v.refuse("VAL-H-31", field+".status", "%d is not between 200 and 600", d.Status)
	}
}

// retryConditions are the conditions that retryOn may have, besides status codes.
var retryConditions = []string{
	"5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream", "retriable-status-codes",
	"retriable-headers", "envoy-ratelimited", "http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}

// retries covers VAL-H-32 to VAL-H-35.
func (v *validator) retries(field string, r *istio.HTTPRetry) {
	if r == nil {
		return
	}
	if r.Attempts < 0 {
		v.refuse("VAL-H-32", field+".attempts", "%d is negative", r.Attempts)
	}
	if r.Attempts == 0 && (r.PerTryTimeout != nil || r.RetryOn != "" || r.RetryRemoteLocalities != nil) {
		v.refuse("VAL-H-33", field, "attempts is 0, so there are no retries, but other fields configure them")
	}
	v.duration("VAL-H-34", field+".perTryTimeout", r.PerTryTimeout)
	v.duration("VAL-H-34", field+".backoff", r.Backoff)
	if r.RetryOn == "" {
		return
	}
	for _, token := range strings.Split(r.RetryOn, ",") {
		if code, err := strconv.Atoi(token); err == nil && http.StatusText(code) != "" || slices.Contains(retryConditions, token) {
			continue
		}
		v.refuse("VAL-H-35", field+".retryOn", "%q is neither a condition nor a status; blanks are not allowed", token)
	}
}

// rewrite covers VAL-H-36.
func (v *validator) rewrite(field string, w *istio.HTTPRewrite) {
	if w == nil {
		return
	}
	r := w.UriRegexRewrite
	switch {
	case w.Uri != "" && r != nil:
		v.refuse("VAL-H-36", field, "uri and uriRegexRewrite cannot be used together")
	case w.Uri == "" && r == nil && w.Authority == "":
		v.refuse("VAL-H-36", field, "a rewrite changes uri or authority")
	}
	v.writableIf(field+".uri", w.Uri, effect.RequestPath)
	v.writableIf(field+".authority", w.Authority, effect.Authority)
	v.writableIf(field+".uriRegexRewrite.rewrite", r.GetRewrite(), effect.RequestPath)
	if r != nil {
		if r.Match == "" || r.Rewrite == "" {
			v.refuse("VAL-H-36", field+".uriRegexRewrite", "both match and rewrite are needed")
		}
		if r.Match != "" {
			v.regex("VAL-H-36", field+".uriRegexRewrite.match", r.Match)
		}
	}
}
