import { isGrpcServiceError } from '@temporalio/client';

/** gRPC's status code of what was asked for in a way in which nothing can be asked for, such as by an id that is too long. */
export const INVALID_ARGUMENT = 3;

/** gRPC's status code of what the server answers, whether or not the SDK has wrapped it: a worker's own connection throws it as it is. Undefined for any other error. */
export function grpcCodeOf(error: unknown): number | undefined {
  const answer = [error, error instanceof Error ? error.cause : undefined].find(isGrpcServiceError);
  return answer?.code;
}
