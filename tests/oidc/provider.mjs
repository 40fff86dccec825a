// The OpenID provider of the tests: oidc-provider on a free port of this machine. It has one client,
// the portal, and signs in whoever a test says, without asking. Its first line is its issuer.
//
// Tests say who that is by `POST /test/person`, and read by `GET /test/logouts` the logout tokens
// that it has sent.
import { createServer } from 'node:http'
import { Provider } from 'oidc-provider'

// Whether the claims are at UserInfo alone, and not in the ID token.
const userInfoOnly = process.argv.includes('--user-info-only')
let person = { sub: 'nobody' }
const logouts = []

const server = createServer()
await new Promise((done) => server.listen(0, '127.0.0.1', done))
const issuer = `http://127.0.0.1:${server.address().port}`

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'pic-portal',
    client_secret: 'the secret of the portal',
    redirect_uris: ['https://portal.example/staff/sign-in/oidc/callback'],
    backchannel_logout_uri: 'https://portal.example/staff/sign-in/oidc/logout',
    backchannel_logout_session_required: true,
  }],
  claims: { openid: ['sub', 'groups', 'name', 'email', 'phone_number', 'staff_number'], acr: null, auth_time: null },
  acrValues: ['pwd', 'mfa'],
  conformIdTokenClaims: userInfoOnly,
  cookies: { keys: ['a key of the tests'] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
  // It asks nobody but for this; the tests hand the token on.
  async fetch(_, { body }) {
    logouts.push(body.get('logout_token'))
    return new Response(null, { status: 204 })
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ ...person.claims, sub: id, groups: person.groups }) }),
  async loadExistingGrant(ctx) {
    const { client, session, provider: { Grant } } = ctx.oidc
    const grant = new Grant({ clientId: client.clientId, accountId: session.accountId })
    grant.addOIDCScope('openid')
    await grant.save()
    return grant
  },
})
// The portal's port is not known before it runs.
provider.Client.prototype.redirectUriAllowed = (uri) => uri.endsWith('/staff/sign-in/oidc/callback')

async function body(request) {
  let text = ''
  for await (const part of request) text += part
  return text
}

const oidc = provider.callback()
server.on('request', async (request, response) => {
  const { method, url } = request
  if (url.startsWith('/interaction/')) {
    const login = { accountId: person.sub, acr: person.acr, amr: ['pwd'] }
    const result = person.refused ? { error: 'access_denied' } : { login }
    await provider.interactionFinished(request, response, result)
  } else if (method === 'POST' && url === '/test/person') {
    person = JSON.parse(await body(request))
    response.end('ok')
  } else if (url === '/test/logouts') {
    response.end(JSON.stringify(logouts))
  } else {
    oidc(request, response)
  }
})
console.log(issuer)
// Whoever started it has ended.
process.stdin.resume().on('end', () => process.exit())
