import type { AwsLab } from './aws-lab.ts';

/** Asks a service that no client is worth a dependency for, in the query protocol; answers the XML. */
export async function callByQuery(lab: AwsLab, service: string, version: string, action: string, parameters: Record<string, string> = {}): Promise<string> {
  const body = new URLSearchParams({ Action: action, Version: version, ...parameters }).toString();
  return send(lab, service, { 'content-type': 'application/x-www-form-urlencoded' }, body);
}

/** The same in the JSON protocol. */
export async function callByJson<T>(lab: AwsLab, service: string, target: string, parameters: object = {}): Promise<T> {
  return JSON.parse(await send(lab, service, { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target }, JSON.stringify(parameters)) || '{}') as T;
}

async function send(lab: AwsLab, service: string, headers: Record<string, string>, body: string): Promise<string> {
  const authorization = `AWS4-HMAC-SHA256 Credential=${lab.credentials.accessKeyId}/20260101/${lab.region}/${service}/aws4_request, SignedHeaders=host, Signature=unchecked`;
  const response = await fetch(lab.endpoint, { method: 'POST', headers: { ...headers, authorization }, body });
  const answer = await response.text();
  if (!response.ok) throw new Error(`${service} answered ${response.status}: ${answer}`);
  return answer;
}
