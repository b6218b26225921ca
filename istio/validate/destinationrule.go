package validate

import (
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"
	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/istio/names"
)

// destinationRule covers VAL-D.
func (v *validator) destinationRule(s *istio.DestinationRule) {
	if !names.IsWildcardDomain(s.Host) {
		v.refuse("VAL-D-01", "spec.host", "%q is not a valid host name", s.Host)
	}
	v.trafficPolicy("spec.trafficPolicy", s.TrafficPolicy)
	seen := map[string]bool{}
	for i, sub := range s.Subsets {
		field := "spec.subsets[" + strconv.Itoa(i) + "]"
		if seen[sub.Name] {
			v.refuse("VAL-D-04", field+".name", "%q occurs twice", sub.Name)
		}
		seen[sub.Name] = true
		if !names.IsLabel(sub.Name) {
			v.refuse("VAL-D-04", field+".name", "%q is not a valid name of a subset", sub.Name)
		}
		v.labels("VAL-D-04", field+".labels", sub.Labels)
		v.trafficPolicy(field+".trafficPolicy", sub.TrafficPolicy)
	}
	v.exportTo("VAL-D-16", s.ExportTo, false, s.WorkloadSelector != nil)
	if s.WorkloadSelector != nil {
		v.selector("VAL-D-17", "spec.workloadSelector", s.WorkloadSelector.MatchLabels)
	}
}

// trafficPolicy covers VAL-D-02 and VAL-D-03.
func (v *validator) trafficPolicy(field string, p *istio.TrafficPolicy) {
	if p == nil {
		return
	}
	if p.LoadBalancer == nil && p.ConnectionPool == nil && p.OutlierDetection == nil && p.Tls == nil && p.PortLevelSettings == nil &&
		p.Tunnel == nil && p.ProxyProtocol == nil && p.RetryBudget == nil {
		v.refuse("VAL-D-02", field, "the policy is empty")
		return
	}
	if p.Tunnel != nil && p.ProxyProtocol != nil {
		v.refuse("VAL-D-03", field, "tunnel and proxyProtocol cannot be used together")
		return
	}
	v.policies(field, p.LoadBalancer, p.ConnectionPool, p.OutlierDetection, p.Tls)
	for i, port := range p.PortLevelSettings {
		v.portPolicy(field+".portLevelSettings["+strconv.Itoa(i)+"]", port)
	}
	if t := p.Tunnel; t != nil {
		if t.Protocol != "" && t.Protocol != "CONNECT" && t.Protocol != "POST" {
			v.refuse("VAL-D-03", field+".tunnel.protocol", "%q is neither CONNECT nor POST", t.Protocol)
		}
		if !names.IsFQDN(t.TargetHost) && !names.IsAddress(t.TargetHost) {
			v.refuse("VAL-D-03", field+".tunnel.targetHost", "%q is neither a host name nor an IP address", t.TargetHost)
		}
		v.port("VAL-D-03", field+".tunnel.targetPort", t.TargetPort)
	}
	if p.GetRetryBudget().GetBudgetInterval() != nil {
		v.budgetInterval(field + ".retryBudget.budgetInterval")
	}
	if version := p.ProxyProtocol.GetVersion(); version != istio.TrafficPolicy_ProxyProtocol_V1 && version != istio.TrafficPolicy_ProxyProtocol_V2 {
		v.refuse("VAL-D-03", field+".proxyProtocol.version", "%d is neither V1 nor V2", version)
	}
}

// budgetInterval covers VAL-X-08: an Envoy that does not have the field passes over it, as it does where Istio sends it.
func (v *validator) budgetInterval(field string) {
	if v.Envoys.From >= version.RetryBudgetInterval {
		return
	}
	severity := diag.Warning.Strict(v.Strict && v.Envoys.To < version.RetryBudgetInterval)
	v.findings.Add(severity, "VAL-X-08", v.object, field, "Envoy has it from 1.%d on; for older ones it is left out, and they go by the requests of the moment", version.RetryBudgetInterval)
}

// portPolicy covers VAL-D-05, and VAL-D-02 for the policy of a port.
func (v *validator) portPolicy(field string, p *istio.TrafficPolicy_PortTrafficPolicy) {
	if p.Port == nil {
		v.refuse("VAL-D-05", field, "the policy of a port needs the port")
	}
	if p.LoadBalancer == nil && p.ConnectionPool == nil && p.OutlierDetection == nil && p.Tls == nil {
		v.refuse("VAL-D-02", field, "the policy is empty")
		return
	}
	v.policies(field, p.LoadBalancer, p.ConnectionPool, p.OutlierDetection, p.Tls)
}

// policies checks the blocks that can be set for a whole destination and for one of its ports.
func (v *validator) policies(field string, lb *istio.LoadBalancerSettings, pool *istio.ConnectionPoolSettings, outlier *istio.OutlierDetection, tls *istio.ClientTLSSettings) {
	v.loadBalancer(field+".loadBalancer", lb, outlier)
	v.connectionPool(field+".connectionPool", pool)
	v.outlierDetection(field+".outlierDetection", outlier)
	v.clientTLS(field+".tls", tls)
}

// connectionPool covers VAL-D-06.
func (v *validator) connectionPool(field string, p *istio.ConnectionPoolSettings) {
	const code = "VAL-D-06"
	if p == nil {
		return
	}
	if p.Http == nil && p.Tcp == nil {
		v.refuse(code, field, "one of http and tcp is needed")
		return
	}
	negative := func(field string, n int32) {
		if n < 0 {
			v.refuse(code, field, "%d is negative", n)
		}
	}
	if h := p.Http; h != nil {
		at := field + ".http"
		negative(at+".http1MaxPendingRequests", h.Http1MaxPendingRequests)
		negative(at+".http2MaxRequests", h.Http2MaxRequests)
		negative(at+".maxRequestsPerConnection", h.MaxRequestsPerConnection)
		negative(at+".maxRetries", h.MaxRetries)
		negative(at+".maxConcurrentStreams", h.MaxConcurrentStreams)
		v.duration(code, at+".idleTimeout", h.IdleTimeout)
		if h.H2UpgradePolicy == istio.ConnectionPoolSettings_HTTPSettings_UPGRADE && h.UseClientProtocol {
			v.refuse(code, at+".useClientProtocol", "cannot be used with h2UpgradePolicy UPGRADE")
		}
		if keep := h.Http2KeepAlive; keep != nil {
			for name, d := range map[string]*durationpb.Duration{"interval": keep.Interval, "timeout": keep.Timeout} {
				if d == nil {
					v.refuse(code, at+".http2KeepAlive", "%s is needed", name)
				}
				v.duration(code, at+".http2KeepAlive."+name, d)
			}
		}
	}
	if t := p.Tcp; t != nil {
		at := field + ".tcp"
		negative(at+".maxConnections", t.MaxConnections)
		v.duration(code, at+".connectTimeout", t.ConnectTimeout)
		v.duration(code, at+".maxConnectionDuration", t.MaxConnectionDuration)
		if t.IdleTimeout.AsDuration().Milliseconds() != 0 { // 0 turns it off
			v.duration(code, at+".idleTimeout", t.IdleTimeout)
		}
		v.duration(code, at+".tcpKeepalive.time", t.GetTcpKeepalive().GetTime())
		v.duration(code, at+".tcpKeepalive.interval", t.GetTcpKeepalive().GetInterval())
	}
}

// outlierDetection covers VAL-D-07 and VAL-D-08.
func (v *validator) outlierDetection(field string, o *istio.OutlierDetection) {
	if o == nil {
		return
	}
	if o.ConsecutiveErrors != 0 { //nolint:staticcheck // deprecated, and warned of
		v.warn("VAL-D-07", field+".consecutiveErrors", "is deprecated; use consecutiveGatewayErrors or consecutive5xxErrors")
	}
	const code = "VAL-D-08"
	if !o.SplitExternalLocalOriginErrors && o.ConsecutiveLocalOriginFailures.GetValue() > 0 {
		v.refuse(code, field+".consecutiveLocalOriginFailures", "needs splitExternalLocalOriginErrors")
	}
	v.duration(code, field+".interval", o.Interval)
	v.duration(code, field+".baseEjectionTime", o.BaseEjectionTime)
	for name, percent := range map[string]int32{"maxEjectionPercent": o.MaxEjectionPercent, "minHealthPercent": o.MinHealthPercent} {
		if percent < 0 || percent > 100 {
			v.refuse(code, field+"."+name, "%d is not between 0 and 100", percent)
		}
	}
}

// clientTLS covers VAL-D-15.
func (v *validator) clientTLS(field string, tls *istio.ClientTLSSettings) {
	const code = "VAL-D-15"
	if tls == nil {
		return
	}
	if rest, ok := strings.CutPrefix(tls.CredentialName, "configmap://"); ok {
		namespace, name, ok := strings.Cut(rest, "/")
		if !ok {
			namespace, name = v.object.Namespace, rest
		}
		if name == "" || namespace != v.object.Namespace {
			v.refuse(code, field+".credentialName", "%q is not a ConfigMap of its own namespace", tls.CredentialName)
		}
	}
	isSimple, isMutual := tls.Mode == istio.ClientTLSSettings_SIMPLE, tls.Mode == istio.ClientTLSSettings_MUTUAL
	if tls.InsecureSkipVerify.GetValue() {
		verifies := tls.CaCertificates != "" || tls.SubjectAltNames != nil || isSimple && tls.CredentialName != ""
		if verifies && (isSimple || isMutual) {
			v.refuse(code, field+".insecureSkipVerify", "cannot be used with what is needed to verify: caCertificates, subjectAltNames, credentialName")
		}
	}
	hasFiles := tls.ClientCertificate != "" || tls.PrivateKey != "" || tls.CaCertificates != "" || tls.CaCrl != ""
	switch {
	case (isSimple || isMutual) && tls.CredentialName != "":
		if hasFiles {
			v.refuse(code, field+".credentialName", "cannot be used with files of certificates")
		}
	case isMutual:
		for name, value := range map[string]string{"clientCertificate": tls.ClientCertificate, "privateKey": tls.PrivateKey} {
			if value == "" {
				v.refuse(code, field+"."+name, "MUTUAL needs it where there is no credentialName")
			}
		}
	}
}

// isPrime reports whether Envoy accepts n as a prime number, for the size of a Maglev table (VAL-D-11).
func isPrime(n uint64) bool {
	if n < 4 {
		return n > 0 // Envoy accepts 1
	}
	for factor := uint64(2); factor <= uint64(math.Sqrt(float64(n))); factor++ {
		if n%factor == 0 {
			return false
		}
	}
	return true
}
