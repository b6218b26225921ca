package validate

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
)

// loadBalancer covers VAL-D-09 to VAL-D-14.
func (v *validator) loadBalancer(field string, lb *istio.LoadBalancerSettings, outlier *istio.OutlierDetection) {
	if lb == nil {
		return
	}
	if h := lb.GetConsistentHash(); h != nil {
		v.consistentHash(field+".consistentHash", h)
	}
	if lb.LocalityLbSetting != nil && lb.ZoneAwareLbSetting != nil {
		v.refuse("VAL-D-12", field, "localityLbSetting and zoneAwareLbSetting cannot be used together")
	}
	v.locality(field+".localityLbSetting", lb.LocalityLbSetting, outlier)
	if w := lb.Warmup; w != nil {
		const code = "VAL-D-14"
		if w.Duration == nil {
			v.refuse(code, field+".warmup", "duration is needed")
		}
		v.duration(code, field+".warmup.duration", w.Duration)
		if w.MinimumPercent.GetValue() > 100 {
			v.refuse(code, field+".warmup.minimumPercent", "%v is more than 100", w.MinimumPercent.GetValue())
		}
		if w.Aggression != nil && w.Aggression.GetValue() <= 0 {
			v.refuse(code, field+".warmup.aggression", "%v is not positive", w.Aggression.GetValue())
		}
	}
}

// maxTable is the smallest size of a Maglev table that is too large (VAL-D-11).
const maxTable = 5000011

// consistentHash covers VAL-D-09 to VAL-D-11.
func (v *validator) consistentHash(field string, h *istio.LoadBalancerSettings_ConsistentHashLB) {
	if c := h.GetHttpCookie(); c != nil {
		if c.Name == "" {
			v.refuse("VAL-D-09", field+".httpCookie.name", "is missing")
		}
		v.writableIf(field+".httpCookie.name", c.Name, effect.CookieName)
		v.writableIf(field+".httpCookie.path", c.Path, effect.CookieAttribute)
		names := map[string]bool{}
		for i, a := range c.Attributes {
			at := field + ".httpCookie.attributes[" + strconv.Itoa(i) + "]"
			switch {
			case a.Name == "":
				v.refuse("VAL-D-09", at, "an attribute has a name")
			case names[a.Name]:
				v.refuse("VAL-D-09", at+".name", "%q occurs twice", a.Name)
			}
			names[a.Name] = true
			v.writableIf(at+".name", a.Name, effect.CookieAttribute)
			v.writableIf(at+".value", a.Value, effect.CookieAttribute)
		}
	}
	if h.MinimumRingSize != 0 { //nolint:staticcheck // deprecated, and warned of
		v.warn("VAL-D-10", field+".minimumRingSize", "is deprecated; use ringHash")
		if h.HashAlgorithm != nil {
			v.refuse("VAL-D-10", field+".minimumRingSize", "cannot be used with ringHash or maglev")
		}
	}
	if m := h.GetMaglev(); m != nil && (m.TableSize >= maxTable || !isPrime(m.TableSize)) {
		v.refuse("VAL-D-11", field+".maglev.tableSize", "%d is not a prime number less than %d", m.TableSize, maxTable)
	}
}

// locality covers VAL-D-12 and VAL-D-13.
func (v *validator) locality(field string, l *istio.LocalityLoadBalancerSetting, outlier *istio.OutlierDetection) {
	const code = "VAL-D-12"
	if l == nil {
		return
	}
	if len(l.Distribute) > 0 && len(l.Failover) > 0 {
		v.refuse(code, field, "distribute and failover cannot be used together")
		return
	}
	if len(l.Failover) > 0 {
		for i, label := range l.FailoverPriority {
			if slices.Contains([]string{"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"}, label) {
				v.refuse(code, field+".failoverPriority["+strconv.Itoa(i)+"]", "%q cannot be used with failover", label)
				return
			}
		}
	}
	var from []string
	for i, d := range l.Distribute {
		at := field + ".distribute[" + strconv.Itoa(i) + "]"
		from = append(from, d.From)
		var sum uint32
		for place, weight := range d.To {
			if weight == 0 || weight > 100 {
				v.refuse(code, diag.KeyField(at+".to", place), "%d is not between 1 and 100", weight)
			}
			sum += weight
		}
		if sum != 100 {
			v.refuse(code, at+".to", "the weights add up to %d, not 100", sum)
		}
		v.localities(at+".to", slices.Sorted(maps.Keys(d.To)))
	}
	v.localities(field+".distribute", from)
	if (len(l.Failover) > 0 || len(l.FailoverPriority) > 0) && outlier == nil {
		v.warn("VAL-D-13", field, "failover has no effect without outlierDetection")
	}
	for i, f := range l.Failover {
		at := field + ".failover[" + strconv.Itoa(i) + "]"
		if f.From == f.To {
			v.refuse(code, at, "from and to are the same")
		}
		if both := f.From + f.To; strings.ContainsAny(both, "/*") {
			v.refuse(code, at, "from and to are regions, without / and *")
		}
	}
}

// localities checks a list of REGION/ZONE/SUBZONE, of which the last parts may be left out or be a star. No two may
// overlap. As in Istio, checking ends at the first error.
func (v *validator) localities(field string, list []string) {
	const code = "VAL-D-12"
	for i, l := range list {
		parts := strings.SplitN(l, "/", 3)
		if stars := strings.Count(l, "*"); stars > 1 || stars == 1 && !strings.HasSuffix(l, "*") {
			v.refuse(code, field, "%q: only one star is allowed, at the end", l)
			return
		}
		if slices.Contains(parts, "") {
			v.refuse(code, field, "%q: region, zone and subzone cannot be empty", l)
			return
		}
		for _, earlier := range list[:i] {
			if overlap(strings.SplitN(earlier, "/", 3), parts) {
				v.refuse(code, field, "%q and %q overlap", earlier, l)
				return
			}
		}
	}
}

// overlap reports whether an earlier locality and a later one overlap by Istio's comparison: the earlier one covers
// everything below the part at which it ends or has a star; a star in the later one is compared as an ordinary name.
func overlap(earlier, later []string) bool {
	for i, part := range later {
		if i == len(earlier) || earlier[i] == "*" {
			return true
		}
		if earlier[i] != part {
			return false
		}
	}
	return true
}
