// Package lint finds rules that do not do what they seem to do: rules that no request reaches, conditions that change
// nothing, and VirtualServices whose order decides. It looks at the merged list of each host, on every port and Gateway,
// and every finding has a request that shows it.
//
// It decides nothing about requests: package space searches them, and the engine confirms each one.
//
// The hard case is a rule that several rules cover together, none of them alone:
//
//	headers: {x-user: {exact: jason}}            takes what has the header with this value
//	withoutHeaders: {x-user: {exact: jason}}     takes all the rest
//	uri: {prefix: /api}                          dead: each of its requests meets one of the two
package lint
