package sessionstore

// ConfirmQuery lets black-box tests tell the statement apart.
const ConfirmQuery = confirmQuery

// LockSubjectQuery lets black-box tests hold up the creations of a subject.
const LockSubjectQuery = lockSubjectQuery
