// Package advise warns of what is valid and seldom meant: retries that never happen, a timeout that ends before them, a rule
// that takes a path in spellings that a policy does not deny, a host whose service is in another namespace.
//
// Its findings are guesses about what somebody wanted, by the text of the resources; what can be proved about rules is in
// package lint. It does not repeat what validation and translation say, and reports nothing about a name that translation
// warns of.
//
// The hard case is a warning about what was meant, so each kind needs evidence in the resources beside what it is about: a
// rule with ignoreUriCase is reported only if a policy denies its path in one case, and a short host only if a service of
// that name is in another namespace.
package advise
