package sessionstore

// ConfirmQuery lets black-box tests tell the statement apart.
const ConfirmQuery = confirmQuery
