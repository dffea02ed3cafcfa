# ruby-jwt verifies the tokens that are given as arguments, of a service whose keys are of one ALGORITHM. What it says of each, the
# subject or an error, is written as JSON.
require "json"
require "jwt"
require "net/http"

issuer, audience, algorithm = ENV.values_at("ISSUER", "AUDIENCE", "ALGORITHM")

answers = ARGV.map do |token|
  keys = JSON.parse(Net::HTTP.get(URI("#{issuer}/.well-known/jwks.json")))
  options = { algorithms: [algorithm], jwks: keys, iss: issuer, verify_iss: true, aud: audience, verify_aud: true }
  { subject: JWT.decode(token, nil, true, options)[0]["sub"] }
rescue StandardError, NotImplementedError => e
  { error: "#{e.class}: #{e.message}" }
end
puts JSON.generate("ruby-jwt" => { version: JWT::VERSION::STRING, answers: answers })
