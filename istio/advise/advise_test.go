package advise_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/istio/advise"
	"waymark.dev/waymark/istio/resource"
)

const to = "route: [{destination: {host: app.test}}]"

// virtualService is a document; spec is without the indent of YAML's blocks.
func virtualService(spec string) string {
	return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop, namespace: shop}\nspec: {" + spec + "}\n---\n"
}

func ruled(rule string) string {
	return virtualService("hosts: [shop.test], gateways: [gw], http: [{" + rule + "}]")
}

func service(key string) string {
	namespace, name, _ := strings.Cut(key, "/")
	return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: {ports: [{port: 80, name: http}]}\n---\n"
}

func policy(spec string) string {
	return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: deny, namespace: shop}\nspec: {" + spec + "}\n---\n"
}

func denies(paths string) string {
	return policy("action: DENY, rules: [{to: [{operation: {paths: [" + paths + "]}}]}]")
}

func TestCheck(t *testing.T) {
	for what, c := range map[string]struct{ resources, want string }{
		"retries behind an abort of every request": {ruled("fault: {abort: {httpStatus: 503, percentage: {value: 100}}}, retries: {attempts: 3}, " + to),
			"WM0202 spec.http[0].retries: there is nothing to retry: fault.abort answers every request before it is sent, and the proxy does not retry its own answer"},
		"retries behind an abort of most requests":     {ruled("fault: {abort: {httpStatus: 503, percentage: {value: 99}}}, retries: {attempts: 3}, " + to), ""},
		"an abort without a percentage aborts nothing": {ruled("fault: {abort: {httpStatus: 503}}, retries: {attempts: 3}, " + to), ""},
		"an abort without a status aborts nothing":     {ruled("fault: {abort: {percentage: {value: 100}}}, retries: {attempts: 3}, " + to), ""},
		"an abort of every request without retries":    {ruled("fault: {abort: {httpStatus: 503, percentage: {value: 100}}}, " + to), ""},
		"an abort with retries that are turned off":    {ruled("fault: {abort: {httpStatus: 503, percentage: {value: 100}}}, retries: {attempts: 0}, " + to), ""},
		"a delay of every request":                     {ruled("fault: {delay: {fixedDelay: 1s, percentage: {value: 100}}}, retries: {attempts: 3}, " + to), ""},

		"a timeout below that of one try": {ruled("timeout: 1s, retries: {attempts: 1, perTryTimeout: 1500ms}, " + to),
			"WM0203 spec.http[0].timeout: 1s is shorter than retries.perTryTimeout, 1.5s, which has no effect: the first slow try uses up the time of all"},
		"a timeout before the last retry": {ruled("timeout: 3s, retries: {attempts: 3, perTryTimeout: 2s}, " + to),
			"WM0203 spec.http[0].timeout: 3s is used up by 2 tries that take the perTryTimeout of 2s; of 3 retries, the others are never sent"},
		"a timeout when the last retry would begin": {ruled("timeout: 6s, retries: {attempts: 3, perTryTimeout: 2s}, " + to), ""},
		"no timeout":       {ruled("retries: {attempts: 3, perTryTimeout: 2s}, " + to), ""},
		"no perTryTimeout": {ruled("timeout: 1s, retries: {attempts: 3}, " + to), ""},
		"as many retries and as long as can be": {ruled("timeout: 1s, retries: {attempts: 2147483647, perTryTimeout: 300000h}, " + to),
			"WM0203 spec.http[0].timeout: 1s is shorter than retries.perTryTimeout, 300000h0m0s, which has no effect: the first slow try uses up the time of all"},

		"a prefix in any case": {denies("/admin*") + ruled("match: [{uri: {prefix: /admin}, ignoreUriCase: true}], "+to),
			"WM0204 spec.http[0].match[0].uri: takes /ADMIN as well as /admin, which AuthorizationPolicy shop/deny denies in that spelling alone"},
		"an exact path in any case, the second match": {denies("/x, /Admin") + ruled("match: [{uri: {exact: /other}}, {uri: {exact: /admin}, ignoreUriCase: true}], "+to),
			"WM0204 spec.http[0].match[1].uri: takes /ADMIN as well as /Admin, which AuthorizationPolicy shop/deny denies in that spelling alone"},
		"an expression for slashes": {denies("/admin*") + ruled("match: [{uri: {regex: '/+admin/?.*'}}], "+to),
			"WM0204 spec.http[0].match[0].uri: takes //admin as well as /admin, which AuthorizationPolicy shop/deny denies in that spelling alone"},
		"parameters of a path that is denied exactly": {denies("/admin") + ruled("match: [{uri: {prefix: /admin}}], "+to),
			"WM0204 spec.http[0].match[0].uri: takes /admin;a=b as well as /admin, which AuthorizationPolicy shop/deny denies in that spelling alone"},
		"whatever is allowed except a path": {policy("rules: [{to: [{operation: {notPaths: ['/admin*']}}]}]") + ruled("match: [{uri: {prefix: /admin}, ignoreUriCase: true}], "+to),
			"WM0204 spec.http[0].match[0].uri: takes /ADMIN as well as /admin, which AuthorizationPolicy shop/deny denies in that spelling alone"},
		"the host of a policy, in any case": {policy("action: DENY, rules: [{to: [{operation: {hosts: [SHOP.test], paths: ['/admin*']}}]}]") + ruled("match: [{uri: {prefix: /admin}, ignoreUriCase: true}], "+to),
			"WM0204 spec.http[0].match[0].uri: takes /ADMIN as well as /admin, which AuthorizationPolicy shop/deny denies in that spelling alone"},
		"a policy for another host":           {policy("action: DENY, rules: [{to: [{operation: {hosts: [other.test], paths: ['/admin*']}}]}]") + ruled("match: [{uri: {prefix: /admin}, ignoreUriCase: true}], "+to), ""},
		"both spellings are denied":           {denies("/admin*, /ADMIN*") + ruled("match: [{uri: {prefix: /admin}, ignoreUriCase: true}], "+to), ""},
		"a prefix in the case of the policy":  {denies("/admin*") + ruled("match: [{uri: {prefix: /admin}}], "+to), ""},
		"what takes every path":               {denies("/admin*") + ruled("match: [{uri: {prefix: /}, ignoreUriCase: true}, {uri: {regex: '.*'}}], "+to), ""},
		"paths that are allowed":              {policy("rules: [{to: [{operation: {paths: ['/admin*']}}]}]") + ruled("match: [{uri: {prefix: /admin}, ignoreUriCase: true}], "+to), ""},
		"a policy that only records":          {policy("action: AUDIT, rules: [{to: [{operation: {paths: ['/admin*']}}]}]") + ruled("match: [{uri: {prefix: /admin}, ignoreUriCase: true}], "+to), ""},
		"a suffix names no path":              {denies("'*/admin'") + ruled("match: [{uri: {prefix: /admin}, ignoreUriCase: true}], "+to), ""},
		"a rule that forwards nothing":        {denies("/admin*") + ruled("match: [{uri: {prefix: /admin}, ignoreUriCase: true}], directResponse: {status: 403}"), ""},
		"a match without a path":              {denies("/admin*") + ruled("match: [{method: {exact: GET}}], "+to), ""},
		"an expression that is not valid":     {denies("/admin*") + ruled("match: [{uri: {regex: '('}}], "+to), ""},
		"a path in any case without a policy": {ruled("match: [{uri: {prefix: /admin}, ignoreUriCase: true}], " + to), ""},

		"a short host whose service is elsewhere": {service("prod/reviews") + virtualService("hosts: [other.test, reviews], http: [{"+to+"}]"),
			"WM0205 spec.hosts[1]: stands for reviews.shop.svc.cluster.local, which no service has, so the rules are not used for it; did you mean reviews.prod.svc.cluster.local?"},
		"a host with its namespace alone": {service("prod/reviews") + service("qa/reviews") + virtualService("hosts: [Reviews.prod], http: [{"+to+"}]"),
			"WM0205 spec.hosts[0]: stands for reviews.prod, which no service has, so the rules are not used for it; did you mean reviews.prod.svc.cluster.local?"},
		"a host that ends at svc": {service("prod/reviews") + virtualService("hosts: [reviews.prod.svc], gateways: [mesh], http: [{"+to+"}]"),
			"WM0205 spec.hosts[0]: stands for reviews.prod.svc, which no service has, so the rules are not used for it; did you mean reviews.prod.svc.cluster.local?"},
		"a short host of many namespaces": {service("a/reviews") + service("b/reviews") + service("c/reviews") + service("d/reviews") + virtualService("hosts: [reviews], http: [{"+to+"}]"),
			"WM0205 spec.hosts[0]: stands for reviews.shop.svc.cluster.local, which no service has, so the rules are not used for it; did you mean reviews.a.svc.cluster.local, reviews.b.svc.cluster.local, reviews.c.svc.cluster.local or 1 more?"},
		"a short host whose service is here":       {service("prod/reviews") + service("shop/reviews") + virtualService("hosts: [reviews], http: [{"+to+"}]"), ""},
		"a full host of another namespace":         {service("prod/reviews") + virtualService("hosts: [reviews.prod.svc.cluster.local], http: [{"+to+"}]"), ""},
		"a full host that nothing has":             {service("prod/reviews") + virtualService("hosts: [reviews.qa.svc.cluster.local], http: [{"+to+"}]"), ""},
		"a short host that no service has":         {service("prod/reviews") + virtualService("hosts: [ratings], http: [{"+to+"}]"), ""},
		"a host with a namespace that has no such": {service("prod/reviews") + virtualService("hosts: [reviews.com], http: [{"+to+"}]"), ""},
		"a short host of a gateway is any name":    {service("prod/reviews") + virtualService("hosts: [reviews], gateways: [gw], http: [{"+to+"}]"), ""},
		"a short host of a ServiceEntry":           {service("prod/reviews") + "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e}\nspec: {hosts: [reviews.shop.svc.cluster.local], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n---\n" + virtualService("hosts: [reviews], http: [{"+to+"}]"), ""},
	} {
		t.Run(what, func(t *testing.T) {
			in := resource.Read([]string{"-"}, resource.Options{Stdin: strings.NewReader(c.resources)})
			require.Len(t, in.Set.VirtualServices, 1)
			var got []string
			for _, f := range advise.Check(in.Set, "cluster.local") {
				assert.NotZero(t, f.Place.Line)
				got = append(got, fmt.Sprintf("%s %s: %s", f.Code, f.Field, f.Message))
			}
			assert.Equal(t, c.want, strings.Join(got, "\n"))
		})
	}
}
