package sessionstore

import (
	"maps"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// Every statement is prepared against the migrated schema.
func TestQueriesPrepare(t *testing.T) {
	t.Parallel()
	conn, err := testdb.Pool(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for name, query := range everyStatement() {
		if _, err := conn.Conn().Prepare(t.Context(), name, query); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// everyStatement has what a store sends, by name.
func everyStatement() map[string]string {
	queries := map[string]string{
		"ping": pingQuery, "create": createQuery, "createTogether": createTogetherQuery, "createSession": createSessionQuery, "createPair": createPairQuery, "worked": workedQuery,
		"makeRoom": makeRoomQuery, "createLimited": createLimitedQuery, "lockSubject": lockSubjectQuery,
		"readReplaced": readReplacedQuery, "lockReplacedSubject": lockReplacedSubjectQuery, "lockReplaced": lockReplacedQuery, "inherit": inheritQuery, "endReplaced": endReplacedQuery,
		"get": getQuery, "getTogether": getTogetherQuery, "load": loadQuery, "loadTogether": loadTogetherQuery, "list": listQuery, "history": historyQuery, "findLive": findLiveQuery, "findEndedOfSubject": findEndedOfSubjectQuery, "findEnded": findEndedQuery, "findAny": findAnyQuery, "findAnyOfSubject": findAnyOfSubjectQuery, "subjects": subjectsQuery, "thefts": theftsQuery, "theft": theftQuery, "keepTheft": keepTheftQuery,
		"newestSealed": newestSealedQuery, "readSealed": readSealedQuery, "reseal": resealQuery, "countSealed": countSealedQuery,
		"update": updateQuery, "updateTogether": updateTogetherQuery, "updateState": versionQuery, "patch": patchQuery, "lockSession": lockSessionQuery, "setClaims": setClaimsQuery, "loadClaims": loadClaimsQuery, "createOnce": createOnceQuery, "nameCreation": nameCreationQuery, "createdBefore": createdBeforeQuery,
		"invalidate": invalidateQuery, "revokeTogether": revokeTogetherQuery, "invalidateSubject": invalidateSubjectQuery, "revokeSignedOut": revokeSignedOutQuery, "revokeTokens": revokeTokensQuery, "revokeAnew": revokeAnewQuery, "beginEra": beginEraQuery, "joinEra": joinEraQuery, "tellsEvents": tellsEventsQuery, "estimateOfEra": estimateOfEraQuery + "1", "currentEra": currentEraQuery,
		"rotate": rotateQuery, "rotateTogether": rotateTogetherQuery, "rotateForPair": rotateForPairQuery, "rotateTogetherForPair": rotateTogetherForPairQuery, "writeWanted": writeWantedQuery, "lockPair": lockPairQuery, "readPair": readPairQuery, "writePair": writePairQuery,
		"confirm": confirmQuery, "leakFacts": leakFactsQuery, "keepLeak": keepLeakQuery, "keptLeaks": keptLeaksQuery, "forgetLeak": forgetLeakQuery, "estimate": estimateQuery, "estimateKept": estimateKeptQuery, "hasLive": hasLiveQuery, "countLive": countLiveQuery, "createdByHour": createdByHourQuery, "endedByHour": endedByHourQuery,
		"cleanupSettings": cleanupSettingsQuery, "cleanupTook": tookQuery, "oldestEnded": oldestEndedQuery,
	}
	for name, query := range maps.Clone(queries) {
		for _, c := range []changing{rotates, rotatesTogether, rotatesForPair, rotatesTogetherForPair, updatesTogether} {
			if c.query == query {
				queries[name+"Apart"] = c.apart
			}
		}
	}
	for kind, q := range cleanupQueries {
		for does, query := range map[string]string{"count": q.count, "find": q.find, "remove": q.remove} {
			queries[does+" "+string(kind)] = query
		}
	}
	return queries
}
