import { isGrpcServiceError, ServiceError } from '@temporalio/client';

/** gRPC's status code of what the server answers, whether or not the SDK has wrapped it; undefined for any other error. */
export function grpcCodeOf(error: unknown): number | undefined {
  const cause = error instanceof ServiceError ? error.cause : error;
  return isGrpcServiceError(cause) ? cause.code : undefined;
}
