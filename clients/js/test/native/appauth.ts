import { refresh, type RefreshResult } from "react-native-app-auth";

const issuer = "https://sessions.example.com";

const config = {
  serviceConfiguration: { authorizationEndpoint: issuer, tokenEndpoint: `${issuer}/oauth2/token` },
  clientId: "latchkey",
  redirectUrl: "com.example.app:/unused",
  scopes: [],
};

export const renew = (refreshToken: string): Promise<RefreshResult> => refresh(config, { refreshToken });
